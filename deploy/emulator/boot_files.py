"""Knows the files that QEMU boots an emulated board from: in the board's own folder, so that it depends on no cache.

What the image is made of is `image_making.py`'s; what comes with each start, `qemu.py`'s and `switches.py`'s.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from deploy.emulator.private_files import create

_MODE = 0o600
_PIECE_BYTES = 1024 * 1024


class BootFiles:
    """Kernel and initrd of one board; the image may be pruned or made anew from now on."""

    def __init__(self, folder: Path, image: Path) -> None:
        """Take them over. Raises FileNotFoundError where the image is not there (any more)."""
        self.kernel = folder / "kernel"
        self.initrd = folder / "initrd"
        _take_over(image / "kernel", self.kernel)
        _copy(image / "initrd", self.initrd)
        self._image_bytes = self.initrd.stat().st_size

    def end_with(self, archive: bytes, system: Path | None = None) -> None:
        """Put what comes with this start behind the image's own archive, in place of what came with the last.

        `system` is the archive that a flash is made of; it comes before `archive`.
        """
        with self.initrd.open("r+b") as file:
            file.truncate(self._image_bytes)
            file.seek(self._image_bytes)
            if system is not None:
                with system.open("rb") as source:
                    shutil.copyfileobj(source, file, _PIECE_BYTES)
            file.write(archive)


def _take_over(source: Path, target: Path) -> None:
    """The same file under another name, which takes no time and no space; a copy where the file systems differ."""
    with suppress(OSError):
        os.link(source, target)
        target.chmod(_MODE)  # as the rest of the folder; the cache is the same user's
        return
    target.unlink(missing_ok=True)
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        create(target, b"")
        with target.open("r+b") as copy:
            shutil.copyfileobj(file, copy, _PIECE_BYTES)
