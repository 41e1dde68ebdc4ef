"""Knows the rungs of a ladder of limits, and which of them to recommend. Pure; climbing one is `rung.py`'s."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from deploy.model.limits import Limits
from deploy.model.units import KIB, MIB

MEMORY_RUNGS = tuple(size * MIB for size in (64, 8, 5, 4, 3, 2, 1))
GC_RUNGS = (200, 100, 50, 20, 10)

HARD_STEP_KIB = 256
"""The step at which the search for the smallest hard limit ends."""

MOST_CPU = 1.5
"""A recommended rung uses at most this many times the CPU of the cheapest: memory is not bought with all of it."""

HARD_MARGIN = 1.25
"""What a recommended hard limit has over the smallest that held: one message more must not be one too many."""


@dataclass(frozen=True, slots=True)
class Climbed:
    """What one rung came to. Sizes in KiB, times in seconds; None where it was not had."""

    ladder: str
    """Which one it belongs to: "GOMEMLIMIT", "GOGC" or "hard"."""
    limits: Limits
    holds: bool
    """Whether every message was answered in time, by one process."""
    why: str
    """Why it does not, or has no figure."""
    sent: int = 0
    answered: int = 0
    rss_kib: int | None = None
    rss_error_kib: int | None = None
    hwm_kib: int | None = None
    cpu_s: float | None = None
    """User and system time that the messages took."""
    cpu_tick_s: float = 0.0
    """CPU time is counted in whole clock ticks, which are so long: what differs by one is as cheap."""
    collections: int | None = None
    """Of garbage, during the messages."""
    median_s: float | None = None
    """From a message to its reply, half of them."""
    p95_s: float | None = None


def soft_rungs(base: Limits, memory: Sequence[int], percents: Sequence[int]) -> list[tuple[str, Limits]]:
    """The rungs of the two soft ladders: each changes one limit of `base`, from above."""
    rungs = [("GOMEMLIMIT", replace(base, gomemlimit_bytes=size, hard_bytes=None)) for size in memory]
    return rungs + [("GOGC", replace(base, gogc_percent=percent, hard_bytes=None)) for percent in percents]


def hard_rungs(peak_kib: int) -> Generator[int, bool, None]:
    """The hard limits to try, in KiB: send whether the last one held; ends once 256 KiB lie between no and yes.

    The kernel counts its own pages for the process too, so that the search begins above its peak.
    """
    holds_kib, fails_kib = None, 0
    tried_kib = _stepped(2 * peak_kib)
    while holds_kib is None or holds_kib - fails_kib > HARD_STEP_KIB:
        held = yield tried_kib
        if held:
            holds_kib = tried_kib
        elif holds_kib is None:
            return  # not even that much: no limit of this kind holds here
        else:
            fails_kib = tried_kib
        tried_kib = _stepped((holds_kib + fails_kib) // 2)


def _stepped(kib: int) -> int:
    return max(1, kib // HARD_STEP_KIB) * HARD_STEP_KIB


def recommended(climbed: Sequence[Climbed]) -> Climbed | None:
    """The soft rung with the smallest VmRSS and error bar, of those that hold without much more CPU; None for none.

    Of rungs that differ by less than their error bars and 64 KiB the one with less CPU: the rest is chance.
    """
    held = [each for each in climbed if each.ladder != "hard" and each.holds and each.rss_kib is not None]
    if not held:
        return None
    cheapest_s = min((each.cpu_s for each in held if each.cpu_s is not None), default=None)
    most_s = None if cheapest_s is None else cheapest_s * MOST_CPU + max(each.cpu_tick_s for each in held)
    fitting = [each for each in held if most_s is None or (each.cpu_s or 0.0) <= most_s] or held
    least_kib = min(_figure(each) for each in fitting)
    near = [each for each in fitting if _figure(each) <= least_kib + 64]
    return min(near, key=lambda each: (each.cpu_s or 0.0, _figure(each)))


def hard_limit_kib(climbed: Sequence[Climbed]) -> int | None:
    """The hard limit to set: the smallest that held, with a margin, in whole steps; None where none was found."""
    held = [each.limits.hard_bytes for each in climbed if each.ladder == "hard" and each.holds]
    smallest = min((size for size in held if size is not None), default=None)
    if smallest is None:
        return None
    return -(-int(smallest * HARD_MARGIN) // (HARD_STEP_KIB * KIB)) * HARD_STEP_KIB


def _figure(each: Climbed) -> int:
    return (each.rss_kib or 0) + (each.rss_error_kib or 0)
