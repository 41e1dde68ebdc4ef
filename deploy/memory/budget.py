"""Knows which outcome a reading earns: PASS, FAIL or NOT MEASURED. Pure; printing it and exiting are the cli's."""

from __future__ import annotations

from deploy.model.reading import Reading
from deploy.model.units import show_kib
from deploy.model.verdict import Budget, Outcome, Verdict

REQUIRED = (
    "right_process",
    "same_process",
    "executable",
    "not_a_wrapper",
    "alive",
    "started_by_us",
    "real_kernel",
    "limits",
    "settled",
    "figures_agree",
    "swap_known",
)
"""The proofs that must stand in every reading; evidence that is not there at all is missing, whatever the rest says."""

_OPEN = {
    "executable": "which binary it is",
    "started_by_us": "who started it",
    "limits": "under which limits",
}
"""What is left open where nothing was claimed that the proof could be held against."""

REQUIRED_LIVE = (*REQUIRED, "did_the_work")

REQUIRED_BENCH = (*REQUIRED, "did_the_work", "phases_told", "phases_agree")

_REQUIRED_OF = {"live": REQUIRED_LIVE, "bench": REQUIRED_BENCH}


def judge(reading: Reading, budget: Budget) -> Verdict:
    """The verdict on `reading`. A reason of NOT MEASURED names the missing proof and holds no figure.

    The figure that is judged is the highest steady VmRSS, with what that sample had in swap and in HugeTLB pages (a
    process that is elsewhere only looks small), plus the error bar.
    """

    def verdict(outcome: Outcome, reason: str) -> Verdict:
        return Verdict(outcome, reason, budget)

    missing = [proof.detail for proof in reading.evidence if proof.required and not proof.ok]
    present = {proof.name for proof in reading.evidence}
    required = _REQUIRED_OF.get(reading.kind, REQUIRED)
    missing += [f"the proof {name!r} was never asked for" for name in required if name not in present]
    if missing:
        others = len(missing) - 1
        more = f" (and {others} more {'proof is' if others == 1 else 'proofs are'} missing)" if others else ""
        return verdict(Outcome.NOT_MEASURED, missing[0] + more)
    error_kib, hwm_kib = reading.rss_error_kib, reading.hwm_kib
    highest = reading.highest
    if highest is None or error_kib is None or hwm_kib is None:
        return verdict(Outcome.NOT_MEASURED, "there is no sample, or nothing bounds its error")
    figure_kib = highest.held_kib
    most_kib = figure_kib + error_kib
    said = f"{reading.kind}: VmRSS {show_kib(highest.vm_rss_kib)}"
    said += f" + {show_kib(highest.vm_swap_kib)} in swap" if highest.vm_swap_kib else ""
    said += f" + {show_kib(highest.hugetlb_kib)} in HugeTLB pages" if highest.hugetlb_kib else ""
    said += f" + error bar {show_kib(error_kib)}"
    left_open = [_OPEN[name] for name in reading.not_asked if name in _OPEN]
    unasked = f" (not asked: {', '.join(left_open)})" if left_open else ""
    if most_kib > budget.rss_kib:
        if reading.error_is_bound and figure_kib - error_kib <= budget.rss_kib:
            return verdict(
                Outcome.NOT_MEASURED,
                "this kernel shows no page tables, and its counters may lag too far to be held against this budget",
            )
        return verdict(Outcome.FAIL, f"{said} is over the budget of {show_kib(budget.rss_kib)}{unasked}")
    if budget.hwm_kib is not None and hwm_kib > budget.hwm_kib:
        return verdict(
            Outcome.FAIL,
            f"{reading.kind}: the peak, VmHWM {show_kib(hwm_kib)}, is over its budget of "
            f"{show_kib(budget.hwm_kib)}{unasked}",
        )
    return verdict(Outcome.PASS, f"{said} is within the budget of {show_kib(budget.rss_kib)}{unasked}")
