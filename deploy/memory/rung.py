"""Knows how one rung is climbed: a second instance under its limits, messages at a pace, and what they cost.

Which rungs there are, and which is the best, is `ladder.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from deploy.board_shell.health import question
from deploy.board_shell.shell_functions import MEMORY_CGROUP
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
from deploy.transport.protocol import Script, Transport

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
    before_s, collected = _cpu_s(transport, instance.process), _collections(transport, instance.health_port)
    subject = Subject(instance.layout, sha256, limits, process=instance.process)
    reading = live_reading(transport, subject, users, health_port=instance.health_port, load=load)  # type: ignore[arg-type]
    after_s, collected_then = _cpu_s(transport, instance.process), _collections(transport, instance.health_port)
    verdict = judge(reading, _ANY)
    measured = verdict.outcome is Outcome.PASS  # a process whose figure does not settle may answer all the same
    proofs = {proof.name: proof.ok for proof in reading.evidence}
    holds = proofs["did_the_work"] and proofs["same_process"] and proofs["alive"]
    if holds and limits.hard_bytes is not None and _ceiling_bytes(transport, instance.process) != limits.hard_bytes:
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
        cpu_s=None if before_s is None or after_s is None else round(after_s - before_s, 3),
        collections=None if collected is None or collected_then is None else collected_then - collected,
        median_s=count.median_s if count and holds else None,
        p95_s=count.p95_s if count and holds else None,
    )


NO_CEILING = "the kernel holds no memory limit here: no memory cgroup, or this login may make none"


def _cpu_s(transport: Transport, process: Process) -> float | None:
    """User and system time of the process so far (fields 14 and 15 of proc_pid_stat(5), in clock ticks)."""
    script = Script(
        title="ask for its CPU time",
        text=f"""\
getconf CLK_TCK 2>/dev/null || echo 100 # what the kernel tells user space everywhere but on Alpha and IA-64
set -- "$(cat /proc/{process.pid}/stat 2>/dev/null)"
set -- ${{1##*) }}
[ "${{20}}" = {process.start_ticks} ] && echo "${{12}} ${{13}}"
""",
        changes=False,
    )
    words = transport.run(script).stdout.split()
    if len(words) != 3 or not all(word.isdigit() for word in words) or int(words[0]) == 0:
        return None
    return (int(words[1]) + int(words[2])) / int(words[0])


def _collections(transport: Transport, port: int) -> int | None:
    """How often it has collected garbage, by its own /metrics; None where it has none."""
    try:
        found = _COLLECTIONS.search(transport.request(port, question("/metrics", port)))
    except (ForwardRefused, BadAnswer, DeadlineExceeded):
        return None
    return int(found[1]) if found else None


def _ceiling_bytes(transport: Transport, process: Process) -> int | None:
    """The memory limit of its cgroup, from the kernel."""
    script = Script(
        title="read its memory limit back",
        text=f"{MEMORY_CGROUP}g=$(memory_cgroup {process.pid}) || exit 0\n"
        'cat "$g/memory.max" 2>/dev/null || cat "$g/memory.limit_in_bytes"\n',
        changes=False,
    )
    said = transport.run(script).stdout.strip()
    return int(said) if said.isdigit() and len(said) < 19 else None
