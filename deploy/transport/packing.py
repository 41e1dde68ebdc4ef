"""Knows how a file is compressed while it travels: piece by piece, so that packing, sending and unpacking overlap.

Which way is worth it on a link is `steps/packing.py`'s; what unpacks it on the board is `board_shell/push.py`'s.
"""

from __future__ import annotations

import importlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from deploy.transport.protocol import PACKINGS, Packed

READ_BYTES = 64 * 1024

DICTIONARY_BYTES = 1024 * 1024
"""A board has to have that much memory to unpack xz and zstd. Twice as much makes the gateway 1 % smaller."""


class Packer(Protocol):
    """What zlib, lzma and the zstd modules have in common."""

    def compress(self, data: bytes, /) -> bytes:
        """Take so much more; what is ready of it."""
        ...

    def flush(self) -> bytes:
        """The end."""
        ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _gzip() -> Packer:
    return zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16: a gzip header and trailer (zlib.h)


def _xz() -> Packer:
    # Preset 6 takes a third longer and makes the gateway 1 % smaller.
    # BusyBox's unxz knows CRC32, and CRC64 only where it was built so (XZ_USE_CRC64 in its decompress_unxz.c).
    filters: list[dict[str, Any]] = [{"id": lzma.FILTER_LZMA2, "preset": 4, "dict_size": DICTIONARY_BYTES}]
    return lzma.LZMACompressor(lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)


def _zstd() -> Packer:
    # As fast as gzip, and smaller; its levels that come near xz are as slow as xz, and larger.
    try:
        stdlib: Any = importlib.import_module("compression.zstd")  # since Python 3.14
    except ImportError:
        library: Any = importlib.import_module("zstandard")
        parameters = library.ZstdCompressionParameters.from_level(9, window_log=20)
        compressor: Packer = library.ZstdCompressor(compression_params=parameters).compressobj()
        return compressor
    parameter = stdlib.CompressionParameter
    made: Packer = stdlib.ZstdCompressor(options={parameter.compression_level: 9, parameter.window_log: 20})
    return made


_PACKERS: dict[str, Callable[[], Packer]] = {"": _Plain, "gzip": _gzip, "xz": _xz, "zstd": _zstd}
assert set(_PACKERS) == set(PACKINGS)


def can_pack(how: str) -> bool:
    """Whether this machine can pack so: for zstd it takes Python 3.14, or the module zstandard."""
    try:
        _PACKERS[how]()
    except ImportError:
        return False
    return True


def pack(packed: Packed, piece_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Pieces of at most `piece_bytes`, each with how many bytes of the file have been read for it and those before.

    Raises OSError where the file can't be read.
    """
    packer, done, held = _PACKERS[packed.how](), 0, bytearray()
    with packed.path.open("rb") as file:
        file.seek(packed.start)
        while data := file.read(min(READ_BYTES, packed.size_bytes - done)):
            done += len(data)
            held += packer.compress(data)
            while len(held) >= piece_bytes:
                yield bytes(held[:piece_bytes]), done
                del held[:piece_bytes]
    held += packer.flush()
    for start in range(0, len(held), piece_bytes):
        yield bytes(held[start : start + piece_bytes]), done
