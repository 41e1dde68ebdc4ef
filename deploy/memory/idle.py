"""Knows how an idle reading is taken: one round trip, the process left alone. Live readings are live.py's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from deploy import __version__
from deploy.board_shell.cost import Cost
from deploy.board_shell.observation import Observation
from deploy.board_shell.samples import Pace
from deploy.board_shell.watching import TICKS_A_SECOND
from deploy.memory.evidence import gather, one_line
from deploy.memory.kernel_proof import lag_kib
from deploy.memory.sampling import observe
from deploy.memory.settling import settled
from deploy.memory.subject import Subject
from deploy.model.reading import Evidence, LiveCount, Phase, Reading
from deploy.transport.protocol import Transport

_SKEW_WORTH_NAMING_S = 5

_JUMP_WORTH_NAMING_S = 2
"""date knows whole seconds only, and the two questions are not one: less than this is no jump."""


def idle_reading(
    transport: Transport,
    subject: Subject,
    *,
    pace: Pace | None = None,
    circumstances: dict[str, str] | None = None,
    clock: Callable[[], float] = time.time,
) -> Reading:
    """Samples and evidence of the process that `subject` names; nothing is asked of it meanwhile.

    `circumstances` are what the caller knows (board, tags, ldflags, source revision) beside what the board says.
    Raises BadAnswer and what `transport.run` raises.
    """
    pace = pace or Pace()
    seen = observe(transport, subject, pace)
    return reading_of("idle", [seen], subject, pace, circumstances=circumstances or {}, now_s=clock())


def reading_of(
    kind: str,
    observations: Sequence[Observation],
    subject: Subject,
    pace: Pace,
    *,
    circumstances: dict[str, str],
    now_s: float,
    more_evidence: tuple[Evidence, ...] = (),
    live: LiveCount | None = None,
    hwm_before_load_kib: int | None = None,
    curve: tuple[tuple[float, int], ...] = (),
    phases: tuple[Phase, ...] = (),
    stops: int = 0,
) -> Reading:
    """The reading that these observations make; its samples are the steady ones of the last. `now_s` is since 1970.

    In the first `stops` of them the process has stopped by itself, to be looked at.
    """
    last = observations[-1]
    steady = settled(last.looks, pace)
    walked = any(sample.rollup_rss_kib is not None for sample in steady.samples)
    threads = max((sample.threads for sample in steady.samples), default=1)
    return Reading(
        kind=kind,
        samples=steady.samples,
        evidence=gather(observations, steady, subject, stops=stops) + more_evidence,
        circumstances={
            name: one_line(value)
            for name, value in (_of_the_board(observations[0], last, now_s) | circumstances).items()
        },
        live=live,
        hwm_before_load_kib=hwm_before_load_kib,
        curve=curve,
        phases=phases,
        lag_bound_kib=None if walked else lag_kib(last.kernel, threads),
    )


def _of_the_board(first: Observation, last: Observation, now_s: float) -> dict[str, str]:
    kernel = last.kernel
    skew_s = round(kernel.clock_s - now_s)
    since_first_s = (kernel.clock_s - first.kernel.clock_s) - (kernel.up_s - first.kernel.up_s)
    jumps_s = (since_first_s, last.clock_jump_s, since_first_s + last.clock_jump_s)
    jump_s = max((round(each) for each in jumps_s), key=abs)
    return {
        "kernel": kernel.release,
        "machine": kernel.machine,
        "page size": f"{kernel.page_kib} KiB" if kernel.page_kib else "not known",
        "transparent huge pages": kernel.thp or "none in this kernel",
        "RAM": f"{kernel.mem_total_kib} KiB" if kernel.mem_total_kib is not None else "not known",
        "swap": f"{kernel.swap_total_kib or 0} KiB on {' '.join(kernel.swaps) or 'nothing'}",
        "CPUs": str(kernel.cpus) if kernel.cpus else "not known",
        "page tables": last.page_walk,
        "taken at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s)),
        "clock skew": f"{skew_s:+d} s" if abs(skew_s) > _SKEW_WORTH_NAMING_S else "none",
        "clock jump": f"{jump_s:+d} s while it was measured; times rest on the uptime"
        if abs(jump_s) > _JUMP_WORTH_NAMING_S
        else "none",
        "looking took": _cost(last.cost),
        "slimdeploy": __version__,
    }


def _cost(cost: Cost | None) -> str:
    """What the last sample set has taken of the board, for people."""
    if cost is None:
        return "not known"
    shell = f", and a shell of {cost.hwm_kib} KiB" if cost.hwm_kib is not None else ""
    return f"{cost.cpu_ticks / TICKS_A_SECOND:.2f} s of its CPU{shell}, beside the process"
