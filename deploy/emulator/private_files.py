"""Knows how files that hold keys, tokens or a board's words are written: 0600 from their first moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_MODE = 0o600


def create(path: Path, data: bytes) -> None:
    """A new file. Raises FileExistsError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
        file.write(data)


def replacing(path: Path) -> BinaryIO:
    """A file to be written from its beginning."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "wb")


def appending(path: Path) -> BinaryIO:
    """A file to be written on from its end."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE), "ab")
