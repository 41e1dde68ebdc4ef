"""Two readers of one process, of which the second is right only where the process did not move between two looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Figures = TypeVar("Figures")
Ours = TypeVar("Ours")

TRIES = 10


def both(theirs: Callable[[], Figures], ours: Callable[[], Ours]) -> tuple[Figures, Ours]:
    """What both read while the process stood still: the other reader says the same before our look and after it."""
    seen = []
    for _ in range(TRIES):
        before, sampled, after = theirs(), ours(), theirs()
        if before == after:
            return before, sampled
        seen.append((before, after))
    raise AssertionError(f"it never stood still: {seen}")
