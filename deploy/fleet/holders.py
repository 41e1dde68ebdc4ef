"""Knows how a process is told from others that had its number, and whether it lives; what it holds is not here.

Sources: proc(5), proc_pid_stat(5) for the state and the start time, random(4) for boot_id. Where there is no /proc only
the number tells, so a new process that got it is taken for the old one. Processes are looked for on this machine, in
this PID namespace: containers that share a data folder share their PIDs too, or each takes the other's for dead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process; as long as it lives, nobody else is the same."""

    pid: int
    boot_id: str
    """Of the boot of the machine in which it runs; "" where there is no /proc."""
    start_ticks: int
    """Field 22 of its stat: when it started, in clock ticks since that boot; 0 where there is no /proc."""
    since: str
    """When it took hold, in UTC: 2026-11-23T22:15:03Z."""

    @property
    def is_alive(self) -> bool:
        """Whether it still runs. One that was killed and that nobody has waited for (a zombie) does not."""
        if not self.boot_id:
            return _answers(self.pid)
        return self.boot_id == _boot_id() and self.start_ticks != 0 and _start_ticks(self.pid) == self.start_ticks


def this_process(since: str) -> Holder:
    """This one, holding from `since`."""
    pid = os.getpid()
    return Holder(pid, _boot_id(), _start_ticks(pid), since)


def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _start_ticks(pid: int) -> int:
    """0 where no such process runs."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The name, in brackets, may hold blanks and brackets itself; after it come state (field 3) and the rest.
    found = stat.rpartition(")")[2].split()
    return 0 if found[0] in ("Z", "X") else int(found[19])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
