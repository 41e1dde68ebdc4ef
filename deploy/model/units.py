"""Knows how sizes are written and read; the only converter between units. Everything else carries the unit in its name.

"kB" in /proc means KiB (proc(5): the unit there is 1,024 bytes), so it is called KiB from the parser on.
"""

from __future__ import annotations

import re
from fractions import Fraction

KIB = 1024
MIB = 1024 * KIB

# The suffixes of GOMEMLIMIT (Go's runtime package documentation), which users know by now, and plain bytes.
_FACTORS = {"": 1, "B": 1, "KIB": KIB, "MIB": MIB, "GIB": 1024 * MIB}
_SIZE = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z]*)\s*")


def parse_size(text: str) -> int:
    """Bytes in `text`, such as "5MiB", "5120 KiB" or "5242880". Raises ValueError, naming the form."""
    match = _SIZE.fullmatch(text)
    factor = _FACTORS.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is not a size: write it as 5MiB, 5120KiB or 5242880")
    size = Fraction(match[1]) * factor
    if size.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return size.numerator


def go_size(size_bytes: int) -> str:
    """`size_bytes` as GOMEMLIMIT takes it, in the largest unit that keeps it whole: 5242880 -> "5MiB"."""
    for factor, suffix in ((MIB, "MiB"), (KIB, "KiB")):
        if size_bytes % factor == 0 and size_bytes > 0:
            return f"{size_bytes // factor}{suffix}"
    return f"{size_bytes}B"


def show_kib(kib: int) -> str:
    """A memory figure for people: 3056 -> "3,056 KiB"."""
    return f"{kib:,} KiB"


def show_bytes(size_bytes: int) -> str:
    """A file's size for people: 4718592 -> "4.5 MiB"."""
    if size_bytes < KIB:
        return f"{size_bytes} B"
    if size_bytes < MIB:
        return f"{size_bytes / KIB:.1f} KiB"
    return f"{size_bytes / MIB:.1f} MiB"


def show_span(seconds: float) -> str:
    """How long something took, for people: "42 s", "4 min 10 s", "2 h 5 min"."""
    whole = int(seconds)
    if whole < 100:
        return f"{seconds:.0f} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def show_hosts(count: int) -> str:
    """`1 host` or `1,200 hosts`."""
    return "1 host" if count == 1 else f"{count:,} hosts"
