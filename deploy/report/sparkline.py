"""Knows how a row of figures becomes a line of blocks. What the figures are is the callers'."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[int], most: int = 60) -> str:
    """One block a value, the lowest lowest; of more than `most` values the last ones. Equal values are all low."""
    shown = values[-most:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    step = (high - low) / (len(_BLOCKS) - 1) or 1
    return "".join(_BLOCKS[round((value - low) / step)] for value in shown)
