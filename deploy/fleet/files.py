"""Knows how a file of an inventory is read, within bounds, and whether it may name programs of this machine."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import BadFile

MOST_BYTES = 64 * 1024 * 1024
"""No inventory of people's comes near it."""


@dataclass(frozen=True, slots=True)
class Text:
    """What stands in a file; `trust_fault` as the function of that name says."""

    text: str
    trust_fault: str


def read_text(path: Path) -> Text:
    """The text of the file, its line ends as \\n. Raises BadFile."""
    try:
        if not path.is_file():
            raise BadFile(str(path), ["it is not a file"])
        with path.open("rb") as opened:
            status = os.fstat(opened.fileno())
            raw = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadFile(str(path), [f"it can't be read: {error.strerror}"]) from None
    if len(raw) > MOST_BYTES:
        raise BadFile(str(path), [f"it is larger than {MOST_BYTES // 1024 // 1024} MiB"])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(str(path), [f"it is not UTF-8: see byte {error.start}"]) from None
    return Text(text.replace("\r\n", "\n"), trust_fault(status))


def trust_fault(status: os.stat_result) -> str:
    """Why programs that a file names are not run, as a clause; "" where only its owner, you or root, could write it."""
    if status.st_uid not in (os.geteuid(), 0):
        return "belongs to somebody else"
    return "everybody can write it (chmod o-w)" if stat.S_IMODE(status.st_mode) & 0o002 else ""
