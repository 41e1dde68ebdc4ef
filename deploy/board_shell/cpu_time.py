"""Knows how to ask what CPU time a process has used, under which ceiling it runs, and how long the board's ticks are.

When that is asked, and what is made of the difference, is `deploy/memory`'s.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.proc_files import ABSENT, number, parse_stat
from deploy.board_shell.shell_functions import MEMORY_CGROUP
from deploy.errors import BadAnswer
from deploy.model.reading import Process
from deploy.transport.protocol import Script

_AT_NULL, _AT_PAGESZ, _AT_CLKTCK = 0, 6, 17
"""Linux, include/uapi/linux/auxvec.h."""

_MOST_TICKS_A_SECOND = 10_000


@dataclass(frozen=True, slots=True)
class CpuTime:
    """`ticks` are utime + stime of the process so far, fields 14 and 15 of /proc/PID/stat (proc(5))."""

    process: Process
    ticks: int
    ceiling_bytes: int | None
    """The memory ceiling of its own cgroup, None for none."""


def cpu_time_script(framing: Framing, pid: int) -> Script:
    """Ask for one process, in one round trip; it changes nothing."""
    text = (
        framing.prelude()
        + MEMORY_CGROUP
        + framing.section("stat", f'cat "/proc/{pid}/stat" 2>/dev/null || exit {ABSENT}')
        + framing.section(
            "ceiling",
            f"folder=$(memory_cgroup {pid}) || exit {ABSENT}\n"
            f'cat "$folder/memory.max" 2>/dev/null || cat "$folder/memory.limit_in_bytes" 2>/dev/null || exit {ABSENT}',
        )
        + framing.close()
    )
    return Script(title="ask what CPU time the process has used", text=text, changes=False)


def parse_cpu_time(framing: Framing, stdout: bytes) -> CpuTime | None:
    """The answer; None where the process is gone. Raises BadAnswer."""
    answers = parse(framing, stdout)
    told = answers.after_success("stat")
    if told is None:
        return None
    stat = parse_stat(told)
    ceiling = answers.after_success("ceiling")
    ceiling_bytes = None if ceiling in (None, "max") else number(ceiling, "memory ceiling")
    return CpuTime(Process(stat.pid, stat.start_ticks), stat.cpu_ticks, ceiling_bytes)


def ticks_script() -> Script:
    """Ask how many ticks a second has: the auxiliary vector of the program that prints it (getauxval(3))."""
    return Script(title="ask how long a clock tick is", text="cat /proc/self/auxv\n", changes=False)


def parse_ticks_a_second(stdout: bytes) -> int:
    """AT_CLKTCK of an auxiliary vector: pairs of words as wide, and in the byte order, of the board. Raises BadAnswer.

    Which of the four forms it is tells itself: it ends with AT_NULL, and its page size is a power of two.
    """
    for form in ("<Q", ">Q", "<I", ">I"):
        vector = _pairs(stdout, form)
        page = vector.get(_AT_PAGESZ, 0)
        ticks = vector.get(_AT_CLKTCK, 0)
        if 1024 <= page <= 1 << 24 and page & (page - 1) == 0 and 1 <= ticks <= _MOST_TICKS_A_SECOND:
            return ticks
    raise BadAnswer("the board does not say how long its clock ticks are", detail=repr(stdout[:80]))


def _pairs(stdout: bytes, form: str) -> dict[int, int]:
    width = struct.calcsize(form)
    found: dict[int, int] = {}
    for at in range(0, len(stdout) - 2 * width + 1, 2 * width):
        (key,), (value,) = struct.unpack_from(form, stdout, at), struct.unpack_from(form, stdout, at + width)
        if key == _AT_NULL:
            return found
        found[key] = value
    return {}
