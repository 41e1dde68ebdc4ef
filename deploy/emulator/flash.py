"""Knows the file that is an emulated board's flash: blank, or a copy of one that was made before.

Making one means that a machine formats it and copies its system to it, which takes an emulated CPU a while. It is the
same each time, so that it is kept beside the image, one for each size.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from deploy.emulator.private_files import create

_PIECE_BYTES = 256 * 1024


def blank(path: Path, kib: int) -> None:
    """A new file that takes no space until it is written."""
    create(path, b"")
    os.truncate(path, kib * 1024)


async def provide(path: Path, kib: int, image: Path, make: Callable[[Path], Awaitable[None]]) -> None:
    """A made flash at `path`; `make` turns a blank one into one, where none of that size is kept beside the image."""
    kept = image / f"flash-{kib}.img"
    create(path, b"")
    with suppress(FileNotFoundError):  # never made, or pruned between a look and the copy
        copy(kept, path)
        return
    os.truncate(path, kib * 1024)
    try:
        await make(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    try:
        _keep(path, kept)
    except OSError as error:  # the board has its flash; the next one's is made again
        logging.warning("the flash that was made can't be kept: %s", error)


def _keep(made: Path, kept: Path) -> None:
    """A copy for later boards, there all at once; of two that were made at the same time either will do."""
    descriptor, name = tempfile.mkstemp(dir=kept.parent, prefix=".flash-")
    os.close(descriptor)
    try:
        copy(made, Path(name))
        Path(name).replace(kept)
    finally:
        Path(name).unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """The bytes of `source` into the file `target`; holes stay holes (lseek(2), SEEK_DATA)."""
    with source.open("rb") as reader, target.open("r+b") as writer:
        size = os.fstat(reader.fileno()).st_size
        os.truncate(writer.fileno(), size)
        at = 0
        while at < size:
            try:
                start = os.lseek(reader.fileno(), at, os.SEEK_DATA)
            except OSError:  # ENXIO: no data from here on
                return
            end = os.lseek(reader.fileno(), start, os.SEEK_HOLE)
            reader.seek(start)
            writer.seek(start)
            left = end - start
            while left:
                piece = reader.read(min(left, _PIECE_BYTES))
                writer.write(piece)
                left -= len(piece)
            at = end
