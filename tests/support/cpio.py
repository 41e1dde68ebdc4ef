"""Reads the archives that a kernel unpacks as its first root, by the kernel's own description of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    path: str
    mode: int
    owner: tuple[int, int]
    data: bytes


def entries(archive: bytes) -> Iterator[Entry]:
    """The reader: buffer-format.rst, "newc", up to the trailer; fails where anything is out of place."""
    file = io.BytesIO(archive)
    while True:
        assert file.tell() % 4 == 0
        header = file.read(110)
        assert header[:6] == b"070701"
        numbers = [int(header[at : at + 8], 16) for at in range(6, 110, 8)]
        name = file.read(numbers[11])
        assert name.endswith(b"\0")
        file.read(-file.tell() % 4)
        data = file.read(numbers[6])
        assert len(data) == numbers[6]
        assert file.read(-file.tell() % 4).strip(b"\0") == b""
        if name == b"TRAILER!!!\0":
            assert file.read() == b""
            return
        yield Entry(name[:-1].decode(), numbers[1], (numbers[2], numbers[3]), data)
