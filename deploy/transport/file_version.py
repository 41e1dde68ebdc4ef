"""Knows when what was read of a file is still what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class FileVersion(NamedTuple):
    """What is another once a file was replaced or written to (as make and rsync have it: nobody's content is read)."""

    inode: int
    mtime_ns: int
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> FileVersion:
        """The version that lies there now. Raises OSError."""
        status = path.stat()
        return cls(status.st_ino, status.st_mtime_ns, status.st_size)
