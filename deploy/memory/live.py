"""Knows how a live reading is taken: messages sent by users, counted at both ends, and the process sampled afterwards.

Playing the users is `deploy/telegram`'s; whose gateway it is (the running one, or a second instance) is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.board_shell.health import Health
from deploy.board_shell.observation import Observation
from deploy.board_shell.samples import Pace
from deploy.memory.counters import counters
from deploy.memory.curve import watched
from deploy.memory.idle import reading_of
from deploy.memory.sampling import observe, reset_peak
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.reading import Evidence, LiveCount, Process, Reading, Sample
from deploy.telegram.counts import BurstCount
from deploy.telegram.user_side import UserSide
from deploy.transport.protocol import Transport

GLANCE = Pace(steady=1, most=1, settle_s=5)

# The Bot API counts a reply when it arrives, the gateway when it has read that it was accepted.
_COUNTERS_CATCH_UP_S = 5.0
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Load:
    """What the gateway is to do: that many messages, answered within `deadline_s` seconds.

    They are of the `kinds` of `telegram/writing.py` by turns, short ones where none is named; all at once, or `rate_hz`
    a second.
    """

    messages: int = 50
    deadline_s: float = 120.0
    kinds: tuple[str, ...] = ()
    rate_hz: float = 0.0

    @property
    def shown(self) -> str:
        """The circumstance, for people."""
        what = " ".join(self.kinds) or "short"
        return f"{what}; " + (f"{self.rate_hz:g} a second" if self.rate_hz else "all at once")


def live_reading(
    transport: Transport,
    subject: Subject,
    user_side: UserSide,
    *,
    health_port: int,
    load: Load | None = None,
    pace: Pace | None = None,
    circumstances: dict[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Reading:
    """Look at the process, set its peak back, send the messages, read both sides' counters, sample until steady.

    `progress` gets (answered, sent). What is missing (no such process, messages unanswered, no TLS) is in the evidence.
    Raises BadAnswer, what the transport raises, and LoopbackFailed where the Bot API stand-in does not answer.
    """
    load, pace = load or Load(), pace or Pace()
    if load.messages < 1:
        raise ValueError("a live check sends one message at least")

    def sending() -> BurstCount:
        return user_side.burst(
            load.messages,
            kinds=load.kinds,
            rate_hz=load.rate_hz,
            deadline_s=load.deadline_s,
            progress=progress,
        )

    glance = observe(transport, subject, GLANCE)
    process = glance.before.process
    curve: tuple[tuple[float, int], ...] = ()
    observations: list[Observation] = [glance]
    before = after = None
    burst: BurstCount | None = None
    peak = False
    if process is not None:
        before = counters(transport, subject.layout, health_port)
        if before is not None:
            peak = reset_peak(transport, process)
            count, curve = watched(transport, process, sending)
            after = _settled_counters(transport, subject.layout, health_port, before, count, sleep)
            burst = count
        observations.append(observe(transport, subject, pace))
    counted = _count(burst, before, after)
    return reading_of(
        "live",
        observations,
        subject,
        pace,
        circumstances=(circumstances or {}) | {"messages": load.shown},
        now_s=clock(),
        more_evidence=(did_the_work(process, load.messages, burst, before, after), peak_evidence(peak)),
        live=counted,
        hwm_before_load_kib=hwm_kib(glance) if peak else None,
        curve=curve,
    )


def did_the_work(
    process: Process | None, messages: int, burst: BurstCount | None, before: Health | None, after: Health | None
) -> Evidence:
    """Whether both sides' counts agree: N sent, N received, N answered, over TLS, by the process that is measured."""

    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("did_the_work", "it did the work", ok, detail)

    if process is None:
        return is_it(False, "no message was sent, because no gateway runs")
    if before is None or burst is None:
        return is_it(False, "no message was sent, because the gateway does not answer on its health port")
    if after is None:
        return is_it(False, "the gateway did not answer on its health port after the messages")
    for answered_by in (before.pid, after.pid):
        if answered_by != process.pid:
            what = f"PID {answered_by} instead of {process.pid}"
            return is_it(False, f"another process answers on the health port: {what}")
    received, replied = after.inbound - before.inbound, after.outbound - before.outbound
    said = f"{burst.sent} messages sent, {received} received, {burst.answered} answered"
    if burst.sent != messages:
        return is_it(False, f"{said}: {messages} were to be sent")
    if not burst.sent == burst.delivered == received == burst.answered:
        return is_it(False, f"{said}: the counts of both sides do not agree")
    if replied < burst.answered:
        return is_it(False, f"{said}, but the gateway itself counts {replied} replies")
    if not burst.tls_version:
        return is_it(False, f"{said}, but not over TLS")
    return is_it(True, f"{said}, over {_tls(burst)}")


def _settled_counters(
    transport: Transport,
    layout: Layout,
    health_port: int,
    before: Health,
    burst: BurstCount,
    sleep: Callable[[float], None],
) -> Health | None:
    """The counters once they have caught up with the Bot API's, or after the time for that is over."""
    until = time.monotonic() + _COUNTERS_CATCH_UP_S
    while True:
        after = counters(transport, layout, health_port)
        behind = after is None or (
            after.inbound - before.inbound < burst.delivered or after.outbound - before.outbound < burst.answered
        )
        if not behind or time.monotonic() >= until:
            return after
        sleep(_PAUSE_S)


def hwm_kib(seen: Observation) -> int | None:
    """The highest VmHWM of a sample set."""
    return max((look.vm_hwm_kib for look in seen.looks if isinstance(look, Sample)), default=None)


def _count(burst: BurstCount | None, before: Health | None, after: Health | None) -> LiveCount:
    if burst is None:
        return LiveCount(sent=0, received=0, answered=0, tls="", seconds=0.0)
    same = before is not None and after is not None and before.pid == after.pid  # another one counts from 0 again
    received = max(0, after.inbound - before.inbound) if before is not None and after is not None and same else 0
    return LiveCount(
        sent=burst.sent, received=received, answered=burst.answered, tls=_tls(burst), seconds=burst.seconds
    )


def _tls(burst: BurstCount) -> str:
    return f"{burst.tls_version} {burst.tls_cipher}".strip()


def peak_evidence(was_reset: bool) -> Evidence:
    """Whether the peak is the load's own; it decides nothing."""
    detail = "VmHWM was set back before the messages" if was_reset else "VmHWM is since the start: it can't be set back"
    return Evidence("peak_reset", "the peak is the load's own", was_reset, detail, required=False)
