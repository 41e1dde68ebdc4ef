"""Knows a serial console: keeps its last part in a file, and finds what the board says of its own boot in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from deploy.emulator.private_files import appending, replacing
from deploy.model.display import clean

MARK = "slimdeploy: "
"""What our own boot scripts put before each line of theirs."""

LISTENS = "the SSH server listens"
"""What they say last."""

MADE = "the flash is made"
"""What they say last where the flash was all that was to be made."""

CANT_START = "it can't start: "
"""What stands before their reason where they give up."""

_CONTROL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
"""Control sequences and single functions (ECMA-48, 5.4 and 5.3). systemd goes back to the line of a job that still runs
and erases it by such ones: the next line of the console, which may be one of ours, stands right behind them."""

_PANIC = "Kernel panic - not syncing"
_MOST_BYTES = 512 * 1024
_KEPT_BYTES = 128 * 1024
_MOST_LINE = 1000
_MOST_TOLD = 200


class Console:
    """What one machine prints. `told` gets each line of our boot scripts.

    A guest can print without an end, and in our scripts' words too: what is kept of it and told of it has its limits.
    """

    def __init__(self, path: Path, told: Callable[[str], None]) -> None:
        self._path = path
        self._told = told
        self._rest = b""
        self._tellings = 0
        self.panic = ""
        """The kernel's last words, or our boot scripts' reason; "" while it has none."""
        self.said: set[str] = set()
        """Which of LISTENS and MADE our boot scripts have said since the machine was started."""

    def booting(self) -> None:
        """A new boot begins; what the old one printed stays in the file."""
        self._rest, self._tellings, self.panic, self.said = b"", 0, "", set()

    def feed(self, data: bytes) -> None:
        """What came from the serial line."""
        self._keep(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:_MOST_LINE]  # as of a line that came whole
        for line in lines:
            self._read(clean(_CONTROL.sub(b"", line[:_MOST_LINE]).rstrip(b"\r").rpartition(b"\r")[2]))

    def _read(self, line: str) -> None:
        if _PANIC in line and not self.panic:
            self.panic = line.partition("] ")[2] or line
        if line.startswith(MARK):
            said = line.removeprefix(MARK)
            if said in (LISTENS, MADE):
                self.said.add(said)
            if said.startswith(CANT_START) and not self.panic:
                self.panic = said.removeprefix(CANT_START)
            self._tellings += 1
            if self._tellings <= _MOST_TOLD:
                self._told(said)

    def _keep(self, data: bytes) -> None:
        with appending(self._path) as file:
            file.write(data)
            size = file.tell()
        if size > _MOST_BYTES:
            kept = self._path.read_bytes()[-_KEPT_BYTES:]
            part = self._path.with_suffix(".part")
            with replacing(part) as file:
                file.write(kept.partition(b"\n")[2] or kept)
            part.replace(self._path)


def last_lines(path: Path, lines: int) -> str:
    """The end of a console's file, safe to show; "" where there is none yet."""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    return "\n".join(clean(data[-_KEPT_BYTES:]).rstrip("\n").split("\n")[-lines:])
