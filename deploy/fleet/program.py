"""Knows how a program that prints an inventory is run: within a time, with a bounded answer, and trusted before.

What it prints is `inventory.py`'s to read.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from deploy.errors import BadFile, InventoryFailed
from deploy.fleet.files import MOST_BYTES, trust_fault
from deploy.model.display import clean

DEADLINE_S = 60.0
"""For all of its answers together."""

_MOST_SHOWN = 4096
"""Bytes of its standard error that are kept, of the last."""

_LOOK_S = 0.01

_ELF = b"\x7fELF"


def is_program(path: Path) -> bool:
    """Whether the file is meant to be run: executable, and begun by #! or as an ELF file.

    On a file system without modes every file is executable. Raises BadFile for a script that may not be run.
    """
    with path.open("rb") as opened:
        begin = opened.read(4)
    if not begin.startswith(b"#!") and begin != _ELF:
        return False
    if not os.access(path, os.X_OK):
        raise BadFile(str(path), ["it is a program, and may not be run (chmod +x)"])
    return True


class Program:
    """One that was found to be trusted. Raises BadFile where it is not."""

    def __init__(self, path: Path) -> None:
        if fault := trust_fault(path.stat()):
            raise BadFile(str(path), [f"it is a program, and {fault}"])
        self._path = str(path.absolute())
        self._shown = str(path)
        self._until_s = time.monotonic() + DEADLINE_S

    def answer(self, *arguments: str) -> bytes:
        """What it prints, run without a shell. Raises InventoryFailed, with its standard error."""
        what = " ".join((self._shown, *arguments))
        try:
            process = subprocess.Popen(
                [self._path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise InventoryFailed(f"{what} can't be run: {error.strerror}") from None
        out, err = bytearray(), bytearray()
        ended = ""
        with process:
            try:
                ended = self._follow(process, out, err)
            finally:
                _end(process)
        log = clean(bytes(err), _MOST_SHOWN).strip()
        if not ended and process.returncode:
            ended = f"ended with status {process.returncode}"
        if ended:
            raise InventoryFailed(f"{what} {ended}", log=log)
        return bytes(out)

    def _follow(self, process: subprocess.Popen[bytes], out: bytearray, err: bytearray) -> str:
        """Read both until they end, and wait; why that did not come about, as a clause."""
        late = f"did not end within {DEADLINE_S:.0f} s"
        assert process.stdout is not None and process.stderr is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ, out)
            waiting.register(process.stderr, selectors.EVENT_READ, err)
            while waiting.get_map():
                left_s = self._until_s - time.monotonic()
                if left_s <= 0:
                    return late
                for key, _ in waiting.select(left_s):
                    piece = os.read(key.fd, 65_536)
                    if not piece:
                        waiting.unregister(key.fileobj)
                    key.data.extend(piece)
                del err[:-_MOST_SHOWN]
                if len(out) > MOST_BYTES:
                    return f"prints more than {MOST_BYTES // 1024 // 1024} MiB"
        while not _has_ended(process):
            if time.monotonic() > self._until_s:
                return late
            time.sleep(_LOOK_S)
        return ""


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has; its number stays its own until it is waited for (waitid(2), WNOWAIT)."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started; to be called before it is waited for, as its number may be another's then."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
