"""Knows processes of this machine by what can't be taken over: PID and start time, or a mark in their environment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deploy.model.reading import Process

_PAUSE_S = 0.02

_EXEC_S = 2.0
"""For so long a process may be in the middle of an execve(2): 0.7 s were seen with 50 others at work on each CPU."""

_NO_PROGRAM = 0x4 | 0x200000
"""PF_EXITING and PF_KTHREAD (the kernel's include/linux/sched.h): it has no environment any more, or never had one."""


def start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)); None where the process is gone, or only a zombie of it is left."""
    fields = _stat(pid)
    return None if len(fields) < 20 or fields[0] in (b"Z", b"X") else int(fields[19])


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third on, the state; none where the process is gone."""
    with suppress(OSError):
        # The name in parentheses may hold anything, also a ")".
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return []


def runs(process: Process) -> bool:
    """Whether that very process is there."""
    return start_ticks(process.pid) == process.start_ticks


def marked(mark: str) -> Iterator[Process]:
    """The processes of this login in whose environment `mark` ("NAME=value") stands; not the one that asks."""
    wanted = mark.encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        pid = int(folder.name)
        if wanted in _environment(pid).split(b"\0") and (ticks := start_ticks(pid)) is not None:
            yield Process(pid, ticks)


def _environment(pid: int) -> bytes:
    """/proc/PID/environ, b"" where there is none or it can't be read.

    It is empty in the middle of an execve(2) too, and where one ended between its opening and its reading. So it is
    read again until the kernel says that there is none.
    """
    file, until_s = Path(f"/proc/{pid}/environ"), time.monotonic() + _EXEC_S
    with suppress(OSError):
        while not (found := file.read_bytes()) and not _has_none(pid) and time.monotonic() < until_s:
            time.sleep(0.001)
        return found
    return b""


def _has_none(pid: int) -> bool:
    """Whether there is no environment: fields 50 and 51, its start and end, are the same (proc(5)).

    So they are for a moment in the middle of an execve(2) too, but then field 27, the end of the code, is 0: the
    kernel's load_elf_binary (fs/binfmt_elf.c) writes it last. Field 9 holds the flags.
    """
    fields = _stat(pid)
    if len(fields) <= 48 or int(fields[6]) & _NO_PROGRAM:
        return True
    return fields[24] != b"0" and fields[47] == fields[48]


def end(process: Process, number: int = signal.SIGTERM) -> None:
    """Send a signal, if it is still that process."""
    with suppress(ProcessLookupError, PermissionError):
        if runs(process):
            os.kill(process.pid, number)


def end_marked(mark: str, grace_s: float, kill_s: float, *also: Process) -> bool:
    """TERM for all that are marked and for `also`, KILL for those left after `grace_s` seconds; late-comers too.

    False where one is there still, `kill_s` seconds after that.
    """
    seen: set[Process] = set(also)
    for number, seconds in ((signal.SIGTERM, grace_s), (signal.SIGKILL, kill_s)):
        until = time.monotonic() + seconds
        told: set[Process] = set()
        while left := _left(mark, seen):
            for process in left - told:
                end(process, number)
            told |= left
            seen |= left
            if time.monotonic() >= until:
                break
            time.sleep(_PAUSE_S)
        else:
            return True
    return not _left(mark, seen)


def _left(mark: str, seen: set[Process]) -> set[Process]:
    # A process that is about to end has lost its environment before it is gone.
    return set(marked(mark)) | {process for process in seen if runs(process)}
