"""Knows how a live reading is taken with the real Telegram: people write, and the gateway's own counts are the proof.

Nobody but Telegram sees the other end, so the gateway's inbound and outbound counters are held against the offset that
it keeps: the number of the next update, which Telegram gave out (core.telegram.org/bots/api, getUpdates).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.board_shell.health import Health
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.samples import Pace
from deploy.memory.counters import counters
from deploy.memory.idle import reading_of
from deploy.memory.live import GLANCE, hwm_kib, peak_evidence
from deploy.memory.sampling import observe, reset_peak
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.reading import Evidence, LiveCount, Process, Reading
from deploy.transport.protocol import Script, Transport

_PAUSE_S = 0.5
_OFFSET_CATCHES_UP_S = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The gateway's own word at one moment; None where it gives none."""

    health: Health | None
    offset: int | None
    """The number of the next update that it will ask for."""


def real_reading(
    transport: Transport,
    subject: Subject,
    *,
    health_port: int,
    messages: int,
    deadline_s: float,
    circumstances: dict[str, str],
    progress: Callable[[int, int], None],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Reading:
    """Wait until people have written `messages` messages and have their answers, then sample the process.

    Raises BadAnswer, and what the transport raises. What is missing is in the evidence.
    """
    glance = observe(transport, subject, GLANCE)
    process, observations = glance.before.process, [glance]
    before = after = Seen(None, None)
    peak, began_s = False, time.monotonic()
    if process is not None:
        before = _look(transport, subject.layout, health_port)
        if before.health is not None:
            peak = reset_peak(transport, process)
            after = _wait(transport, subject.layout, health_port, before, messages, deadline_s, progress, sleep)
        observations.append(observe(transport, subject, Pace()))
    received, answered = _counts(before, after)
    tls = after.health.tls if after.health else ""
    return reading_of(
        "live",
        observations,
        subject,
        Pace(),
        circumstances=circumstances | {"messages": "of people, through the Bot API that the gateway is deployed with"},
        now_s=clock(),
        more_evidence=(did_real_work(process, messages, before, after), peak_evidence(peak)),
        live=LiveCount(received, received, answered, tls, round(time.monotonic() - began_s, 3)),
        hwm_before_load_kib=hwm_kib(glance) if peak else None,
    )


def did_real_work(process: Process | None, messages: int, before: Seen, after: Seen) -> Evidence:
    """Whether the gateway received and answered so many, by its counters and by the offset that it keeps."""

    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("did_the_work", "it did the work", ok, detail)

    if process is None:
        return is_it(False, "nobody was waited for, because no gateway runs")
    if before.health is None or after.health is None:
        return is_it(False, "the gateway does not answer on its health port")
    for health in (before.health, after.health):
        if health.pid != process.pid:
            what = f"PID {health.pid} instead of {process.pid}"
            return is_it(False, f"another process answers on the health port: {what}")
    received, answered = _counts(before, after)
    said = f"{received} messages of people received, {answered} answered, by the gateway's own counters"
    if received < messages:
        return is_it(False, f"{said}: {messages} were waited for")
    if answered < received:
        return is_it(False, f"{said}: some have no answer")
    if after.offset is None:
        return is_it(False, f"{said}, but it keeps no offset that they could be held against")
    updates = after.offset - before.offset if before.offset is not None else None
    if updates is not None and updates < received:
        return is_it(False, f"{said}, but the offset of getUpdates moved by {updates} only")
    if not after.health.tls:
        return is_it(False, f"{said}, but not over TLS")
    moved = f"moved by {updates}" if updates is not None else f"is {after.offset}; there was none before"
    return is_it(True, f"{said}; the offset of getUpdates {moved}; over {after.health.tls}")


def _counts(before: Seen, after: Seen) -> tuple[int, int]:
    if before.health is None or after.health is None or before.health.pid != after.health.pid:
        return 0, 0
    return (
        max(0, after.health.inbound - before.health.inbound),
        max(0, after.health.outbound - before.health.outbound),
    )


def _wait(
    transport: Transport,
    layout: Layout,
    port: int,
    before: Seen,
    messages: int,
    deadline_s: float,
    progress: Callable[[int, int], None],
    sleep: Callable[[float], None],
) -> Seen:
    """Look until the messages are there, answered, and in the offset; or until the time is over."""
    until = time.monotonic() + deadline_s
    complete_s: float | None = None
    while True:
        seen = _look(transport, layout, port)
        received, answered = _counts(before, seen)
        progress(min(answered, messages), messages)
        now = time.monotonic()
        if received >= messages and answered >= received:
            complete_s = now if complete_s is None else complete_s
            moved = before.offset is None or seen.offset is None or seen.offset - before.offset >= received
            if moved or now - complete_s > _OFFSET_CATCHES_UP_S:
                return seen
        if now >= until:
            return seen
        sleep(_PAUSE_S)


def _look(transport: Transport, layout: Layout, port: int) -> Seen:
    return Seen(counters(transport, layout, port), _offset(transport, layout))


def _offset(transport: Transport, layout: Layout) -> int | None:
    """From the file in which the gateway keeps it: the bot's number, a blank, the offset (0 before a first message)."""
    path = quote_path(layout.offset_file)
    script = Script(
        title="read how far it has read",
        text=f"[ ! -r {path} ] || head -c 200 {path}\n",
        changes=False,
    )
    words = transport.run(script).stdout.split()
    return int(words[1]) or None if len(words) == 2 and words[0].isdigit() and words[1].isdigit() else None
