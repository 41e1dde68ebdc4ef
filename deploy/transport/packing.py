"""Knows how a file is compressed while it travels: piece by piece, so that packing, sending and unpacking overlap.

Which way is worth it on a link is `steps/packing.py`'s; what unpacks it on the board is `board_shell/push.py`'s.
"""

from __future__ import annotations

import importlib
import lzma
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Protocol

from deploy.transport.file_version import FileVersion
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


Piece = tuple[bytes, int]

MOST_KEPT = 8
"""So many packed files are kept for the next host that gets the same: a fleet has a few targets, of 2 MB each."""


class _Pieces:
    """What one packing gives, for all who send it: each piece is made by whoever needs it first."""

    def __init__(self, source: Iterator[Piece]) -> None:
        self._source = source
        self._made: list[Piece] = []
        self._end: Exception | None = None
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Piece]:
        at = 0
        while (piece := self._at(at)) is not None:
            yield piece
            at += 1

    def _at(self, at: int) -> Piece | None:
        with self._lock:
            if at == len(self._made) and self._end is None:
                try:
                    self._made.append(next(self._source))
                except Exception as end:  # StopIteration, or a file that can't be read: for everybody
                    self._end = end
            if at < len(self._made):
                return self._made[at]
            if isinstance(self._end, OSError):
                raise OSError(*self._end.args) from self._end
            if isinstance(self._end, StopIteration):
                return None
            raise RuntimeError("it could not be packed") from self._end


_KEPT: OrderedDict[Hashable, _Pieces] = OrderedDict()
_KEPT_LOCK = threading.Lock()


def pack(packed: Packed, piece_bytes: int) -> Iterator[Piece]:
    """Pieces of at most `piece_bytes`, each with how many bytes of the file have been read for it and those before.

    The hosts of a fleet that get the same share one packing. Raises OSError where the file can't be read.
    """
    if not packed.how:
        return _packed(packed, piece_bytes)
    key = (packed, piece_bytes, FileVersion.of(packed.path))
    with _KEPT_LOCK:
        pieces = _KEPT.pop(key, None) or _Pieces(_packed(packed, piece_bytes))
        _KEPT[key] = pieces
        if len(_KEPT) > MOST_KEPT:
            _KEPT.popitem(last=False)
    return iter(pieces)


def _packed(packed: Packed, piece_bytes: int) -> Iterator[Piece]:
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
