"""Knows how VmRSS is spread over a fleet, and which hosts stand apart; showing it is `report/fleet.py`'s.

Percentiles are by nearest rank: the p-th of n figures is the one at place ceil(p/100 x n) in their order, so it is
always a figure that some host has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from deploy.model.rollout import Result
from deploy.model.spread import Bin, Outlier, Spread
from deploy.model.units import show_hosts, show_kib

T = TypeVar("T", int, float)

MOST_BINS = 12

# Iglewicz and Hoaglin's modified z-score, and their bound (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.17).
_Z_PER_MAD, _Z_BOUND = 0.6745, 3.5

# Where most hosts agree to the page, the next page is no outlier: figures move in pages, of 4 KiB on nearly all boards.
_LEAST_MAD_KIB = 4

_LEAST_SHARE = 0.1
"""Of the median. What one process moves by itself, between two collections of garbage, says nothing about its host."""

FEWEST_FOR_OUTLIERS = 5
"""Among fewer hosts of one board none stands apart: nobody can say which of them are the usual ones."""


def nearest_rank(values: Sequence[T], percent: int) -> T:
    """The `percent`-th percentile of `values`, by nearest rank; 100 is the largest. Raises ValueError for none."""
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no percentile {percent} of {len(values)} values")
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def spread_of(results: Sequence[Result]) -> Spread:
    """VmRSS over the hosts on which the new release runs."""
    well = [result for result in results if result.state.is_well]
    measured = [(result, result.rss_kib) for result in well if result.rss_kib is not None]
    figures = [kib for _, kib in measured]
    if not figures:
        return Spread(0, len(well), 0, 0, 0, 0, 0.0, (), ())
    outliers = _outliers([result for result, _ in measured])
    apart = {outlier.member for outlier in outliers}
    usual = [kib for result, kib in measured if result.member not in apart]
    return Spread(
        count=len(figures),
        not_measured=len(well) - len(figures),
        min_kib=min(figures),
        median_kib=nearest_rank(figures, 50),
        p95_kib=nearest_rank(figures, 95),
        max_kib=max(figures),
        mean_kib=sum(figures) / len(figures),
        bins=_bins(figures, usual or figures),
        outliers=outliers,
    )


def _outliers(results: Sequence[Result]) -> tuple[Outlier, ...]:
    """Held against hosts of the same board: what is much on one is usual on another."""
    boards: dict[str, list[Result]] = {}
    for result in results:
        boards.setdefault(result.board, []).append(result)
    found = [outlier for alike in boards.values() if len(alike) >= FEWEST_FOR_OUTLIERS for outlier in _apart(alike)]
    return tuple(sorted(found, key=lambda each: (-abs(each.kib - each.median_kib), each.member)))


def _apart(alike: Sequence[Result]) -> list[Outlier]:
    """Those of a board whose distance from its median is far more than the median distance (MAD), and not a trifle."""
    figures = [result.rss_kib or 0 for result in alike]
    median = nearest_rank(figures, 50)
    mad = max(nearest_rank([abs(kib - median) for kib in figures], 50), _LEAST_MAD_KIB)
    bound = max(_Z_BOUND * mad / _Z_PER_MAD, _LEAST_SHARE * median)
    pairs = zip(alike, figures, strict=True)
    return [_outlier(result, kib, median, len(alike)) for result, kib in pairs if abs(kib - median) > bound]


def _outlier(result: Result, kib: int, median: int, count: int) -> Outlier:
    side = "above" if kib > median else "below"
    like = show_hosts(count) + (f" with the board {result.board}" if result.board else "")
    sentence = f"{show_kib(abs(kib - median))} {side} {show_kib(median)}, the median of {like}"
    return Outlier(result.member, kib, median, sentence)


def _bins(figures: Sequence[int], usual: Sequence[int]) -> tuple[Bin, ...]:
    """Equal bins over the `usual` figures; outliers beyond them share the first or the last, as wide as needed.

    Were the bins equal over all, one host far out would put all others into a single bin.
    """
    step = _round_step((max(usual) - min(usual) + 1) / (MOST_BINS - 3))
    first, end = min(usual) // step, max(usual) // step + 1
    bounds = [number * step for number in range(first, end + 1)]
    if min(figures) < bounds[0]:
        bounds.insert(0, min(figures) // step * step)
    if max(figures) >= bounds[-1]:
        bounds.append((max(figures) // step + 1) * step)
    return tuple(Bin(low, high, sum(low <= kib < high for kib in figures)) for low, high in pairwise(bounds))


def _round_step(least: float) -> int:
    """The next of 10, 20, 50, 100, 200, 500 … KiB."""
    power: int = 10 ** max(1, math.floor(math.log10(max(least, 1))))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
