"""Knows which way of compressing a push is worth it: by what the link gave so far, and by how much is left to send.

How it is done is `transport/packing.py`'s.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

UNPACKERS = {"gzip": "gunzip", "xz": "xz", "zstd": "zstd"}
"""The program that a board needs for each."""


@dataclass(frozen=True, slots=True)
class Packing:
    """What one way does to a Go binary."""

    ratio: float
    """Compressed size by plain size."""
    bytes_s: float
    """How many plain bytes a second it takes at most: the slower one of packing here and unpacking on a small board."""


PACKINGS = {
    "": Packing(1.0, float("inf")),
    "zstd": Packing(0.431, 17e6),
    "gzip": Packing(0.454, 15e6),
    "xz": Packing(0.366, 2e6),
}
"""The gateway for riscv64 (4,587,680 bytes), packed on one x86-64 CPU of 2026 as `transport/packing.py` does it."""

FIRST_BYTES = 256 * 1024
"""So much of a file is sent first, to see what the link gives: a second's worth where it is slow enough to matter."""

WORTH_A_LOOK_BYTES = 1024 * 1024
"""Of less, no way of packing saves what the look costs."""


def seconds(how: str, size_bytes: int, link_bytes_s: float) -> float:
    """How long `size_bytes` take through such a link: packing, sending and unpacking overlap, so the slowest counts."""
    packing = PACKINGS[how]
    return max(size_bytes / packing.bytes_s, size_bytes * packing.ratio / link_bytes_s)


def best(ways: Collection[str], size_bytes: int, link_bytes_s: float) -> str:
    """The fastest of `ways`; of two that are as fast the one that is less work."""
    return min(ways, key=lambda how: (seconds(how, size_bytes, link_bytes_s), -PACKINGS[how].bytes_s))


def usual(ways: Collection[str]) -> str:
    """The one to begin with, while nothing is known of the link."""
    return next((how for how in ("zstd", "gzip", "xz") if how in ways), "")
