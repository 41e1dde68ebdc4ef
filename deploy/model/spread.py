"""Knows what the spread of one figure over a fleet is; working it out is `fleet/spread.py`'s."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bin:
    """How many hosts are in one part of the range, in KiB: `from_kib` belongs to it, `to_kib` does not."""

    from_kib: int
    to_kib: int
    count: int


@dataclass(frozen=True, slots=True)
class Outlier:
    """A host whose figure is far from those of its like."""

    member: str
    kib: int
    median_kib: int
    """Of its like: of the measured hosts of the same board."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Spread:
    """VmRSS over a fleet, in KiB. Where nothing was measured `count` is 0, and so is every figure."""

    count: int
    """Hosts that were measured."""
    not_measured: int
    """Hosts on which the release runs, without a figure."""
    min_kib: int
    median_kib: int
    """By nearest rank, as the next one: a figure that a host has, never one between two."""
    p95_kib: int
    max_kib: int
    mean_kib: float
    bins: tuple[Bin, ...]
    """Without a gap, from the lowest figure to the highest; all but the first and the last are of the same width."""
    outliers: tuple[Outlier, ...]
    """The farthest from its median first."""
