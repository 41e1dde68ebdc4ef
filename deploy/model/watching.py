"""Knows what can happen while a process is watched for hours. Asking is `deploy/memory/watch.py`'s, showing `report`'s.

All times called `taken_at` are seconds since 1970 by the controller's clock; all sizes are in KiB.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.model.reading import Process


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One look of the loop on the board, lighter than a `Sample`; None where the kernel doesn't have the figure."""

    at_s: float
    """Seconds since boot, by the board."""
    process: Process
    state: str
    vm_rss_kib: int
    vm_hwm_kib: int | None
    rss_anon_kib: int | None
    rss_file_kib: int | None
    rss_shmem_kib: int | None
    vm_swap_kib: int | None
    pss_kib: int | None
    """From smaps_rollup, which is not asked at every look; None where it was not."""
    threads: int
    cpu_ticks: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A sample came. `restarts` are those seen so far; `cpu_percent` is of one CPU, over the last ten samples."""

    taken_at: float
    glimpse: Glimpse
    restarts: int
    cpu_percent: float | None


@dataclass(frozen=True, slots=True)
class Gone:
    """The board answers, and the process is not there; told once, until it is there again."""

    taken_at: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What the gateway says of itself on /metrics; counters are since its start."""

    taken_at: float
    gc_cycles: int
    inbound: int
    outbound: int
    errors: int
    heap_bytes: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The link dropped."""

    taken_at: float
    why: str


@dataclass(frozen=True, slots=True)
class Trying:
    """Still away: the link is tried again in so many seconds."""

    taken_at: float
    again_in_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Back:
    """The first sample after a drop has come; `away_s` is the gap since the last one before it."""

    taken_at: float
    away_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one loop on the board has taken so far: CPU time with its children's, and its shell's own peak."""

    taken_at: float
    looks: int
    cpu_ms: int
    hwm_kib: int | None


Event = Seen | Gone | Counted | Lost | Trying | Back | Cost
