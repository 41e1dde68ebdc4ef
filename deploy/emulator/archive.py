"""Knows the cpio format that the kernel unpacks as its first root, "newc"; what goes in is the callers' business.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(slots=True)
class Archive:
    """Entries in the order in which the kernel makes them, all owned by root.

    Raises ValueError for a path that the format can't hold: that of its own trailer.
    """

    _parts: list[bytes] = field(default_factory=list)
    _folders: set[str] = field(default_factory=set)
    _entries: int = 0

    def folder(self, path: str, mode: int = 0o755) -> None:
        """A folder and those above it. `path` has no leading slash."""
        if path in self._folders or not path:
            return
        self.folder(path.rpartition("/")[0])
        self._folders.add(path)
        self._add(path, stat.S_IFDIR | mode, b"")

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """A regular file."""
        self.folder(path.rpartition("/")[0])
        self._add(path, stat.S_IFREG | mode, data)

    def link(self, path: str, to: str) -> None:
        """A symbolic link."""
        self.folder(path.rpartition("/")[0])
        self._add(path, stat.S_IFLNK | 0o777, to.encode())

    def tree(self, root: Path, below: str = "") -> None:
        """Everything under `root`, put under `below`."""
        for path in sorted(root.rglob("*")):
            name = f"{below}/{path.relative_to(root)}".lstrip("/")
            if path.is_symlink():
                self.link(name, str(path.readlink()))
            elif path.is_dir():
                self.folder(name)
            elif path.is_file():
                self.file(name, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))

    def has(self, path: str) -> bool:
        """Whether there is a folder of that path."""
        return path in self._folders

    def data(self) -> bytes:
        """The archive, whole. Several may stand one after the other: the kernel unpacks them all."""
        closing = Archive()
        closing._add(_TRAILER, 0, b"")
        return b"".join((*self._parts, *closing._parts))

    def _add(self, path: str, mode: int, data: bytes) -> None:
        if path == _TRAILER and mode:
            raise ValueError(f"nothing can be called {_TRAILER} in a cpio archive")
        self._entries += 1
        name = path.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, no checksum
        numbers = (self._entries, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        header = _MAGIC + b"".join(b"%08x" % number for number in numbers)
        self._parts.append(_padded(header + name))
        self._parts.append(_padded(data))


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
