"""Knows how one rung is climbed: a second instance under its limits, messages at a pace, and what they cost.

Which rungs there are, and which is the best, is `ladder.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from deploy.board_shell.cpu_time import CpuTime, cpu_time_script, parse_cpu_time, parse_ticks_a_second, ticks_script
from deploy.board_shell.framing import Framing
from deploy.board_shell.health import question
from deploy.errors import BadAnswer, CommandFailed, DeadlineExceeded, ForwardRefused, NotReady
from deploy.memory.budget import judge
from deploy.memory.ladder import Climbed
from deploy.memory.live import Load, live_reading
from deploy.memory.second_instance import Instance, second_instance
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.reading import Process
from deploy.model.verdict import Budget, Outcome
from deploy.telegram.counts import BurstCount
from deploy.telegram.user_side import UserSide
from deploy.transport.protocol import Transport

_ANY = Budget(rss_kib=1 << 40)
_COLLECTIONS = re.compile(rb"^picoclaw_gc_cycles_total (\d{1,12})$", re.MULTILINE)


class _Counting:
    """A user side that remembers what its burst came to; the rest of it is the other's."""

    def __init__(self, users: UserSide) -> None:
        self._users = users
        self.count: BurstCount | None = None

    def burst(self, *arguments: object, **named: object) -> BurstCount:
        self.count = self._users.burst(*arguments, **named)  # type: ignore[arg-type]
        return self.count

    def __getattr__(self, name: str) -> object:
        return getattr(self._users, name)


def climb(
    transport: Transport,
    layout: Layout,
    sha256: str,
    release_id: str,
    ladder: str,
    limits: Limits,
    load: Load,
    *,
    user: str = "",
    note: Callable[[str], None],
) -> Climbed:
    """Run a second instance of the release under `limits`, send it the messages, and see what that took.

    What keeps it from answering (it does not start, it ends, it is too slow) is in the result. Raises ForwardRefused
    where the server leads no port back, and what the transport raises.
    """
    try:
        with second_instance(transport, layout, release_id, limits, user=user, note=note) as instance:
            return _measured(transport, instance, sha256, ladder, limits, load)
    except (NotReady, CommandFailed) as error:
        return Climbed(ladder, limits, holds=False, why=error.problem)


def _measured(
    transport: Transport, instance: Instance, sha256: str, ladder: str, limits: Limits, load: Load
) -> Climbed:
    users = _Counting(instance.user_side)
    tick_s = 1 / parse_ticks_a_second(transport.run(ticks_script()).stdout)
    before, collected = _cpu_time(transport, instance.process), _collections(transport, instance.health_port)
    subject = Subject(instance.layout, sha256, limits, process=instance.process)
    reading = live_reading(transport, subject, users, health_port=instance.health_port, load=load)  # type: ignore[arg-type]
    after, collected_then = _cpu_time(transport, instance.process), _collections(transport, instance.health_port)
    verdict = judge(reading, _ANY)
    measured = verdict.outcome is Outcome.PASS  # a process whose figure does not settle may answer all the same
    proofs = {proof.name: proof.ok for proof in reading.evidence}
    holds = proofs["did_the_work"] and proofs["same_process"] and proofs["alive"]
    ceiling = before.ceiling_bytes if before else None
    if holds and limits.hard_bytes is not None and ceiling != limits.hard_bytes:
        return Climbed(ladder, limits, holds=False, why=NO_CEILING)
    count = users.count
    return Climbed(
        ladder,
        limits,
        holds,
        "" if measured else verdict.reason,
        sent=count.sent if count else 0,
        answered=count.answered if count else 0,
        rss_kib=reading.rss_kib if measured else None,
        rss_error_kib=reading.rss_error_kib if measured else None,
        hwm_kib=max(filter(None, (reading.hwm_kib, reading.hwm_before_load_kib)), default=None) if measured else None,
        cpu_s=None if before is None or after is None else round((after.ticks - before.ticks) * tick_s, 4),
        cpu_tick_s=tick_s,
        collections=None if collected is None or collected_then is None else collected_then - collected,
        median_s=count.median_s if count and holds else None,
        p95_s=count.p95_s if count and holds else None,
    )


NO_CEILING = "the kernel holds no memory limit here: no memory cgroup, or this login may make none"


def _cpu_time(transport: Transport, process: Process) -> CpuTime | None:
    """What the process has used so far; None where it is gone, or another has its PID."""
    framing = Framing.new()
    found = parse_cpu_time(framing, transport.run(cpu_time_script(framing, process.pid)).stdout)
    return found if found is not None and found.process == process else None


def _collections(transport: Transport, port: int) -> int | None:
    """How often it has collected garbage, by its own /metrics; None where it has none."""
    try:
        found = _COLLECTIONS.search(transport.request(port, question("/metrics", port)))
    except (ForwardRefused, BadAnswer, DeadlineExceeded):
        return None
    return int(found[1]) if found else None
