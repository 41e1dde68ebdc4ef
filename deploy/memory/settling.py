"""Knows when VmRSS counts as steady, and which samples of a set are the steady ones. Taking them is sampling.py's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.board_shell.observation import Missed
from deploy.board_shell.samples import Pace
from deploy.model.reading import Sample


@dataclass(frozen=True, slots=True)
class Settled:
    """The steady samples of a set. `ok` False means that VmRSS was still on its way when the time was over."""

    ok: bool
    samples: tuple[Sample, ...]
    detail: str


def settled(looks: Sequence[Sample | Missed], pace: Pace) -> Settled:
    """The last samples that stay within the tolerance of the first of them, where there are enough of those.

    A process in use never stands still. Where none of the set's second half is higher than its first half (plus the
    tolerance) it does not grow either: then all samples count, and the highest of them is the one that is judged.
    """
    samples = tuple(look for look in looks if isinstance(look, Sample))
    if len(samples) < pace.steady or len(samples) != len(looks):
        return Settled(False, samples, f"{len(samples)} samples with figures were had; {pace.steady} are needed")
    start = 0
    for at, sample in enumerate(samples):
        if abs(sample.vm_rss_kib - samples[start].vm_rss_kib) > pace.tolerance_kib:
            start = at
    steady = samples[start:]
    span_s = samples[-1].at_s - steady[0].at_s
    if len(steady) >= pace.steady:
        waited_s = steady[0].at_s - samples[0].at_s
        return Settled(True, steady, f"{len(steady)} samples over {span_s:.1f} s, steady after {waited_s:.1f} s")
    half = len(samples) // 2
    highest_early = max(sample.vm_rss_kib for sample in samples[:half])
    highest_late = max(sample.vm_rss_kib for sample in samples[half:])
    span_s = samples[-1].at_s - samples[0].at_s
    if len(samples) >= 2 * pace.steady and highest_late <= highest_early + pace.tolerance_kib:
        return Settled(True, samples, f"{len(samples)} samples over {span_s:.1f} s: in motion, and not growing")
    return Settled(False, samples, f"VmRSS had not settled after {span_s:.1f} s")
