"""Knows how a live reading is taken with the real Telegram: people write, or a user's account of yours does, and the
gateway's own counts are the proof.

Nobody but Telegram sees the other end, so the gateway's inbound and outbound counters are held against the offset that
it keeps: the number of the next update, which Telegram gave out (core.telegram.org/bots/api, getUpdates).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.board_shell.health import Health
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.samples import Pace
from deploy.memory.counters import counters
from deploy.memory.curve import with_more
from deploy.memory.idle import reading_of
from deploy.memory.live import GLANCE, hwm_kib, peak_evidence
from deploy.memory.sampling import observe, reset_peak
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.reading import Evidence, LiveCount, Process, Reading
from deploy.telegram.user_account import UserCount
from deploy.transport.protocol import Script, Transport

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
    send: Callable[[], UserCount] | None = None,
    pace: Pace | None = None,
    clock: Callable[[], float] = time.time,
) -> Reading:
    """Wait until people have written `messages` messages and have their answers, then sample the process.

    With `send` nobody is waited for: it writes them, from a user's account. Raises BadAnswer, and what the transport
    and `send` raise. What is missing is in the evidence.
    """
    pace = pace or Pace()
    glance = observe(transport, subject, GLANCE)
    process, observations = glance.before.process, [glance]
    before = after = Seen(None, None)
    peak, began_s = False, time.monotonic()
    curve: list[tuple[float, int]] = []
    users = _Users(send)
    if process is not None:
        before = _look(transport, subject.layout, health_port)
        if before.health is not None:
            peak = reset_peak(transport, process)
            users.begin()
            waiting = _Waiting(transport, subject.layout, health_port, process, before, messages, progress)
            after, curve = waiting.until(time.monotonic() + deadline_s, users)
        observations.append(observe(transport, subject, pace))
    received, answered = _counts(before, after)
    tls = after.health.tls if after.health else ""
    return reading_of(
        "live",
        observations,
        subject,
        pace,
        circumstances=circumstances
        | {"messages": f"{users.who}, through the Bot API that the gateway is deployed with"},
        now_s=clock(),
        more_evidence=(did_real_work(process, messages, before, after, users), peak_evidence(peak)),
        live=LiveCount(
            users.count.sent if users.count else received,
            received,
            min(answered, users.count.answered) if users.count else answered,
            tls,
            round(time.monotonic() - began_s, 3),
        ),
        hwm_before_load_kib=hwm_kib(glance) if peak else None,
        curve=tuple(curve),
    )


class _Users:
    """Who writes: people, whom nobody counts, or a user's account that `send` writes from, in a thread of its own."""

    def __init__(self, send: Callable[[], UserCount] | None = None) -> None:
        self._send = send
        self.count: UserCount | None = None
        self._failed: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_account(self) -> bool:
        """Whether a user's account writes."""
        return self._send is not None

    @property
    def who(self) -> str:
        """Whose the messages are, for people."""
        return "of people" if self._send is None else "from a user's account"

    @property
    def said(self) -> str:
        """What the account saw, for people."""
        sent, answered = (self.count.sent, self.count.answered) if self.count else (0, 0)
        return f"{sent} sent and {answered} answered as their user sees it"

    def fault(self, messages: int) -> str:
        """Why the account did not do all that it was to do, as a clause; "" where it did."""
        if self.count is None:
            return "the account did not come to its end"
        if self.count.sent != messages:
            return f"{messages} were to be sent"
        return "" if self.count.answered == self.count.sent else "some have no answer that arrived"

    def begin(self) -> None:
        if self._send is not None:
            self._thread = threading.Thread(target=self._run, args=(self._send,), name="user", daemon=True)
            self._thread.start()

    def _run(self, send: Callable[[], UserCount]) -> None:
        try:
            self.count = send()
        except BaseException as error:
            self._failed = error

    @property
    def done(self) -> bool:
        """Whether all is written that will be, as far as anybody knows. Raises what `send` raised."""
        if self._failed is not None:
            raise self._failed
        return self._thread is None or not self._thread.is_alive()

    def end(self, seconds: float) -> None:
        """Wait for the last word of `send`."""
        if self._thread is not None:
            self._thread.join(seconds)
        _ = self.done


PEOPLE = _Users()


def did_real_work(
    process: Process | None, messages: int, before: Seen, after: Seen, users: _Users = PEOPLE
) -> Evidence:
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
    said = f"{received} messages {users.who} received, {answered} answered, by the gateway's own counters"
    if users.is_account:
        said = f"{users.said}; {said}"
        if fault := users.fault(messages):
            return is_it(False, f"{said}: {fault}")
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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What is waited for: `messages` more than `before`, received, answered, and in the offset."""

    transport: Transport
    layout: Layout
    port: int
    process: Process
    before: Seen
    messages: int
    progress: Callable[[int, int], None]

    def until(self, end_s: float, users: _Users) -> tuple[Seen, list[tuple[float, int]]]:
        """Look until they are there, or until `end_s` of the monotonic clock; and how VmRSS went meanwhile."""
        complete_s: float | None = None
        curve: list[tuple[float, int]] = []
        while True:
            seen = _look(self.transport, self.layout, self.port)
            received, answered = _counts(self.before, seen)
            self.progress(min(answered, self.messages), self.messages)
            now = time.monotonic()
            if received >= self.messages and answered >= received and users.done:
                complete_s = now if complete_s is None else complete_s
                had = self.before.offset
                moved = had is None or seen.offset is None or seen.offset - had >= received
                if moved or now - complete_s > _OFFSET_CATCHES_UP_S:
                    break
            if now >= end_s:
                break
            curve = with_more(self.transport, self.process, curve)
        users.end(_OFFSET_CATCHES_UP_S)
        return seen, curve


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
