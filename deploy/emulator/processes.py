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


def start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)); None where the process is gone, or only a zombie of it is left."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name in parentheses may hold anything; what follows its last ")" begins with field 3, the state.
    fields = stat.rpartition(b")")[2].split()
    return None if len(fields) < 20 or fields[0] in (b"Z", b"X") else int(fields[19])


def runs(process: Process) -> bool:
    """Whether that very process is there."""
    return start_ticks(process.pid) == process.start_ticks


def marked(mark: str) -> Iterator[Process]:
    """The processes of this login in whose environment `mark` ("NAME=value") stands; not the one that asks."""
    wanted = mark.encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                ticks = start_ticks(int(folder.name))
                if ticks is not None:
                    yield Process(int(folder.name), ticks)


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
