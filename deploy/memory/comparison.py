"""Knows whether one binary takes more memory than another, by paired runs of both. Pure statistics; no I/O.

Runs go by pairs, so that what changes on the board between two pairs (its page cache, its other programs) is in both.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Quantiles of Student's t distribution at 0.975, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of
# Statistical Methods, section 1.3.6.7.2); the normal distribution's beyond.
_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_NORMAL = 1.960

LEAST_PAIRS = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """B less A, in KiB, over the pairs, and the 95 % confidence interval of its mean."""

    pairs: int
    mean_a_kib: float
    mean_b_kib: float
    mean_kib: float
    low_kib: float
    high_kib: float

    def worse(self, tolerance_kib: int) -> bool:
        """Whether B takes more than A by more than the tolerance, with all of the interval."""
        return self.low_kib > tolerance_kib

    def open(self, tolerance_kib: int) -> bool:
        """Whether the interval holds the tolerance: more runs would decide it."""
        return self.low_kib <= tolerance_kib < self.high_kib


def difference(a_kib: Sequence[int], b_kib: Sequence[int]) -> Difference:
    """Of two rows of figures, the ones at the same place from the same pair of runs. Raises ValueError for few."""
    if len(a_kib) != len(b_kib) or len(a_kib) < LEAST_PAIRS:
        raise ValueError(f"a comparison takes {LEAST_PAIRS} pairs at least")
    gaps = [b - a for a, b in zip(a_kib, b_kib, strict=True)]
    mean = statistics.fmean(gaps)
    free = len(gaps) - 1
    quantile = _T[free - 1] if free <= len(_T) else _NORMAL
    half = quantile * statistics.stdev(gaps) / math.sqrt(len(gaps))
    return Difference(len(gaps), statistics.fmean(a_kib), statistics.fmean(b_kib), mean, mean - half, mean + half)


def order(runs: int) -> list[tuple[int, int]]:
    """Which of the two goes first in each pair: by turns, so that being second favours neither."""
    return [(0, 1) if pair % 2 == 0 else (1, 0) for pair in range(runs)]
