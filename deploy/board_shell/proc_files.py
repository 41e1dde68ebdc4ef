"""Knows the formats of the files under /proc that a memory reading rests on, and the sh functions that fetch them.

Which process is asked about, how often and why is left to `samples.py`, `identity.py` and `kernel.py`. Formats: proc(5)
and Documentation/filesystems/proc.rst. "kB" there means KiB, and is called so from here on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.board_shell.shell_functions import LINES, TOLD
from deploy.errors import BadAnswer

ABSENT = 2
"""Exit status of `told` and of the questions built on it: this kernel or this board doesn't have it."""

UNREADABLE = 3
"""Exit status of the same: it is there and this login may not read it (or the process went away meanwhile)."""

FUNCTIONS = f"""\
{TOLD}{LINES}target_of() {{
    readlink "$1" 2>/dev/null && return 0
    set -- "$(ls -l "$1" 2>/dev/null)"
    case $1 in *' -> '*) printf '%s\\n' "${{1#* -> }}" ;; *) return {UNREADABLE} ;; esac
}}
hex_of() {{
    od -An -v -tx1 -N "$2" "$1" 2>/dev/null && return 0
    hexdump -v -n "$2" -e '1/1 "%02x"' "$1" 2>/dev/null || return {ABSENT}
}}
"""
"""told FILE: its text. lines_of FILE KEY…: some of its lines. target_of LINK: where it points.
hex_of FILE BYTES: its first bytes in hex, by od or hexdump."""

_NUMBER = re.compile(r"[0-9]{1,19}")
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_KIB = re.compile(r"([0-9]{1,15}) kB")


def is_number(text: str) -> bool:
    """Whether `text` is a whole number of at most 19 ASCII digits: no figure that a board has to tell is longer."""
    return _NUMBER.fullmatch(text) is not None


def number(text: str, what: str) -> int:
    """`text` as such a number. Raises BadAnswer, naming `what`."""
    if not is_number(text):
        raise BadAnswer(f"the board's {what} is not a number", detail=text[:80])
    return int(text)


def decimal(text: str, what: str) -> float:
    """`text` as a number such as 9451.70. Raises BadAnswer, naming `what`."""
    if not _DECIMAL.fullmatch(text):
        raise BadAnswer(f"the board's {what} is not a number", detail=text[:80])
    return float(text)


def uptime_s(text: str) -> float:
    """Seconds since boot: the first figure of /proc/uptime. Raises BadAnswer."""
    return decimal((text.split() or [""])[0], "/proc/uptime")


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/PID/stat that a reading needs; in brackets their numbers in proc(5)."""

    pid: int
    comm: str
    state: str
    parent: int
    minor_faults: int
    cpu_ticks: int
    """utime + stime (14, 15)."""
    threads: int
    start_ticks: int


def parse_stat(text: str) -> Stat:
    """The one line of /proc/PID/stat. Raises BadAnswer.

    The name in brackets may itself hold brackets, blanks and newlines, so the line is cut at its last ")".
    """
    head, bracket, tail = text.strip().rpartition(")")
    pid, opening, comm = head.partition("(")
    fields = tail.split()
    if not (bracket and opening) or len(fields) < 20 or len(fields[0]) != 1:
        raise BadAnswer("the board's /proc/PID/stat is not as proc(5) has it", detail=text[:80])
    return Stat(
        pid=number(pid.strip(), "PID"),
        comm=comm,
        state=fields[0],
        parent=number(fields[1], "parent PID"),
        minor_faults=number(fields[7], "fault count"),
        cpu_ticks=number(fields[11], "utime") + number(fields[12], "stime"),
        threads=number(fields[17], "thread count"),
        start_ticks=number(fields[19], "start time"),
    )


def parse_status(text: str) -> dict[str, str]:
    """The lines of /proc/PID/status or /proc/meminfo as key -> value; the first of two equal keys counts."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def kib(fields: dict[str, str], key: str) -> int | None:
    """The size under `key` in KiB, None where this kernel has no such line. Raises BadAnswer where it is no size."""
    value = fields.get(key)
    if value is None:
        return None
    match = _KIB.fullmatch(value)
    if match is None:
        raise BadAnswer(f"the board's {key} is not a size in kB", detail=value[:80])
    return int(match[1])


def sum_smaps(text: str) -> dict[str, int]:
    """Every "Name: N kB" line of smaps_rollup or smaps, those of one name added up, in KiB.

    smaps_rollup has one entry, smaps one for each mapping; other lines (mapping headers, VmFlags) are skipped.
    """
    sums: dict[str, int] = {}
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        match = _KIB.fullmatch(value.strip()) if colon else None
        if match is not None:
            sums[key.strip()] = sums.get(key.strip(), 0) + int(match[1])
    return sums
