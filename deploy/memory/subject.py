"""Knows what is claimed about the process that a reading is about. Whether it is true is evidence.py's business."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.board_shell.finding import Finding
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.reading import Process


@dataclass(frozen=True, slots=True)
class Subject:
    """The process, and what it is claimed to be.

    `pid` is a PID that the user gave, `process` one that an earlier step saw start; with neither, the pid file under
    `layout` names it. None for `sha256` or `limits` means that nothing is claimed: the proof is then not asked for, and
    the reading says so. `ours` False means the same for "started by us".
    """

    layout: Layout
    sha256: str | None
    limits: Limits | None
    pid: int | None = None
    process: Process | None = None
    ours: bool = True
    finding: Finding | None = None
    """How it is found, where neither a PID nor a pid file names it."""

    @property
    def asked_pid(self) -> int | None:
        """The PID to look at, None where the pid file is to name it."""
        return self.pid if self.pid is not None else self.process.pid if self.process else None
