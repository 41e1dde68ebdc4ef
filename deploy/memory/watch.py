"""Knows how one process is watched for hours: over one channel, over restarts of the process, over drops of the link.

It judges nothing: a watch has no verdict. The loop on the board is `board_shell/watching.py`'s, showing is `report`'s.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from deploy.board_shell.health import question
from deploy.board_shell.metrics import parse_metrics
from deploy.board_shell.watching import TICKS_A_SECOND, Ended, NotThere, Pause, Taken, parse_line, watching_script
from deploy.errors import (
    BadAnswer,
    ConnectionLost,
    DeadlineExceeded,
    ForwardRefused,
    HostError,
    NothingThere,
    Unreachable,
)
from deploy.model.layout import Layout
from deploy.model.reading import Process
from deploy.model.watching import Back, Cost, Counted, Event, Glimpse, Gone, Lost, Seen, Trying
from deploy.transport.protocol import Transport

LATE_S = 15.0
"""A line that comes so much later than the interval is taken for a link that has dropped."""

LEASE_S = 3600
"""After so long a loop ends and the next one begins, so that none is left on a board for longer, whatever happens."""

ASK_EVERY_S = 15.0
ASK_AGAIN_S = 60.0
_ANSWER_S = 5.0
"""How often /metrics is asked, how long it is left alone where it did not answer, and how long an answer may take."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Between two tries to get the link back: doubled each time, until a sample comes."""

_WINDOW = 11

_DROPPED = (ConnectionLost, DeadlineExceeded, BadAnswer)


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: the gateway under `layout`, or the process `pid`; for how long, how often, with which port."""

    layout: Layout
    pid: int | None = None
    health_port: int = 0
    """Where /metrics is asked; 0 for nowhere."""
    interval_s: float = 1.0
    lasts_s: float | None = None
    """None for as long as nobody ends it."""


@dataclass(slots=True)
class _Memory:
    """What has to be kept from one line to the next, over drops of the link."""

    process: Process | None = None
    there: bool = True
    restarts: int = 0
    away: bool = False
    last_came: float = 0.0
    answered: bool = False
    ask_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    window: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_WINDOW))


def watch(
    transport: Transport,
    watched: Watched,
    connect: Callable[[], Transport],
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """What happens, as it happens, until `watched.lasts_s` are over or the process that `watched.pid` named has ended.

    `transport` is closed at the end, and so is every later one, which `connect` opens where the link has dropped.
    Raises what the transport raises before the first answer came, and later what trying again can't cure (a host key
    that has changed, a key that is not taken any more); NothingThere where no process has that PID.
    """
    until = clock() + watched.lasts_s if watched.lasts_s is not None else None
    memory = _Memory(last_came=wall())
    opened: Transport | None = transport
    try:
        while until is None or clock() < until:
            try:
                if opened is None:
                    opened = yield from _again(memory, connect, until, clock, wall, sleep)
                    if opened is None:
                        return
                if (yield from _one_loop(opened, watched, memory, until, clock, wall)):
                    return
            except _DROPPED as error:
                if not memory.answered:
                    raise
                if not memory.away:
                    memory.away = True
                    yield Lost(wall(), error.problem)
                if opened is not None:
                    _close(opened)
                    opened = None
    finally:
        if opened is not None:
            _close(opened)


def _one_loop(
    transport: Transport,
    watched: Watched,
    memory: _Memory,
    until: float | None,
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> Generator[Event, None, bool]:
    """What one loop on the board tells; True where nothing is left to be watched. Raises as the transport."""
    left_s = LEASE_S if until is None else min(LEASE_S, until - clock())
    # Two more: the loop counts whole seconds of the board's clock, and this end has to come first.
    pause = Pause(watched.interval_s, int(max(left_s, watched.interval_s)) + 2)
    mark = f"w{secrets.token_hex(6)}"
    script = watching_script(mark, watched.layout, memory.process, watched.pid, pause)
    patience_s = watched.interval_s + LATE_S
    with transport.stream(script, patience_s) as lines:
        came = clock()
        for line in lines:
            said = parse_line(mark, line)
            if until is not None and clock() >= until:
                return True
            match said:
                case Ended():
                    return False
                case None if clock() - came > patience_s:
                    raise BadAnswer("the board prints, and says nothing of the process", transport.host)
                case Glimpse():
                    yield from _seen(said, memory, wall())
                    if watched.health_port and clock() >= memory.ask_at:
                        yield from _asked(transport, watched, memory, clock, wall)
                case NotThere():
                    yield from _not_there(watched, memory, wall())
                    if watched.pid is not None:
                        return True
                case Taken():
                    yield Cost(wall(), said.looks, said.cpu_ms, said.hwm_kib)
            if said is not None:
                came, memory.answered = clock(), True
    if not memory.answered:
        raise BadAnswer("the board's shell does not watch as it was asked to", transport.host)
    raise ConnectionLost("what watches on the board was ended", transport.host)


def _seen(glimpse: Glimpse, memory: _Memory, now: float) -> Iterator[Event]:
    if memory.away:
        memory.away = False
        yield Back(now, now - memory.last_came)
    if glimpse.process != memory.process:
        memory.restarts += memory.process is not None
        memory.window.clear()
    memory.process, memory.there, memory.last_came = glimpse.process, True, now
    memory.pause_s = FIRST_PAUSE_S
    memory.window.append((glimpse.at_s, glimpse.cpu_ticks))
    (since_s, ticks_before), percent = memory.window[0], None
    if glimpse.at_s > since_s:
        percent = 100.0 * (glimpse.cpu_ticks - ticks_before) / TICKS_A_SECOND / (glimpse.at_s - since_s)
    yield Seen(now, glimpse, memory.restarts, percent)


def _not_there(watched: Watched, memory: _Memory, now: float) -> Iterator[Event]:
    if watched.pid is not None and memory.process is None:
        raise NothingThere(f"there is no process {watched.pid}")
    if memory.there:
        memory.there = False
        yield Gone(now)


def _asked(
    transport: Transport, watched: Watched, memory: _Memory, clock: Callable[[], float], wall: Callable[[], float]
) -> Iterator[Event]:
    """The gateway's own counters, where it answers. Raises ConnectionLost."""
    port = watched.health_port
    try:
        found = parse_metrics(transport.request(port, question("/metrics", port), _ANSWER_S))
    except (ForwardRefused, DeadlineExceeded, BadAnswer):
        memory.ask_at = clock() + ASK_AGAIN_S
        return
    memory.ask_at = clock() + max(ASK_EVERY_S, 5 * watched.interval_s)
    yield Counted(wall(), found.gc_cycles, found.inbound, found.outbound, found.errors, found.heap_bytes)


def _again(
    memory: _Memory,
    connect: Callable[[], Transport],
    until: float | None,
    clock: Callable[[], float],
    wall: Callable[[], float],
    sleep: Callable[[float], None],
) -> Generator[Event, None, Transport | None]:
    """A new connection, however long it takes; None where the time is over before. Raises what time can't cure."""
    why = "the link has dropped"
    while until is None or clock() < until:
        pause_s = memory.pause_s
        memory.pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        yield Trying(wall(), pause_s, why)
        sleep(pause_s if until is None else max(0.0, min(pause_s, until - clock())))
        try:
            return connect()
        except (Unreachable, *_DROPPED) as error:
            why = error.problem
    return None


def _close(transport: Transport) -> None:
    with suppress(HostError, OSError):  # its link may be gone already
        transport.close()
