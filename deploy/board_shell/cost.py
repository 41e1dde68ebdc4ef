"""Knows how a script asks, at its end, what it has itself taken of the board; which script that is, is the others'.

Formats: proc_pid_stat(5), proc_pid_status(5).
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.board_shell.proc_files import kib, parse_status

QUESTION = 'cat "/proc/$$/stat" && sed -n "/^VmHWM:/p" "/proc/$$/status"'
"""sh: of the shell that runs the script, whichever subshell asks."""

OWN_QUESTION = "told /proc/self/stat && lines_of /proc/self/status VmHWM:"
"""sh: of the very shell that asks, which opens these files itself: for a subshell that does all the work of a script.
Needs TOLD and LINES."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of the shell and of all that it has started and awaited; the most that the shell itself had resident."""

    cpu_ticks: int
    hwm_kib: int | None


def parse(text: str | None) -> Cost | None:
    """The answer: fields 14 to 17 of the one file, its children's in the last two. None where it does not tell."""
    stat, _, status = (text or "").rpartition("\n")
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 15 or not all(field.isdecimal() for field in fields[11:15]):
        return None
    return Cost(sum(int(field) for field in fields[11:15]), kib(parse_status(status), "VmHWM"))
