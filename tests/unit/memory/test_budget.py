"""PASS, FAIL and NOT MEASURED at their borders: one KiB decides, and a figure without proofs decides nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readings import names_no_figure, proven, sample

from deploy.memory.budget import REQUIRED, REQUIRED_BENCH, REQUIRED_LIVE, judge
from deploy.model.reading import Evidence, Reading
from deploy.model.verdict import Budget, Outcome

PASS, FAIL, NOT_MEASURED = Outcome.PASS, Outcome.FAIL, Outcome.NOT_MEASURED


def at_budget(rss_kib: int, reading: Reading, hwm_kib: int | None = None) -> Outcome:
    return judge(reading, Budget(rss_kib=rss_kib, hwm_kib=hwm_kib)).outcome


def test_the_last_kib_of_the_budget_belongs_to_it_and_the_error_bar_counts() -> None:
    exact = proven(sample(5120, rollup_kib=5120))
    assert [at_budget(kib, exact) for kib in (5119, 5120, 5121)] == [FAIL, PASS, PASS]
    for rollup_kib in (5100, 5140):  # either may be the one that is off
        assert [at_budget(kib, proven(sample(5120, rollup_kib=rollup_kib))) for kib in (5139, 5140)] == [FAIL, PASS]


def test_the_default_budget_is_five_mebibytes() -> None:
    assert judge(proven(sample(5120, rollup_kib=5120)), Budget()).outcome is PASS
    assert judge(proven(sample(5121, rollup_kib=5121)), Budget()).outcome is FAIL


def test_the_widest_error_bar_counts_for_the_highest_sample() -> None:
    reading = proven(sample(3000, rollup_kib=3000), sample(1000, rollup_kib=1200))
    assert [at_budget(kib, reading) for kib in (3199, 3200)] == [FAIL, PASS]


def test_the_sample_that_is_judged_is_the_highest_with_its_own_swap() -> None:
    reading = proven(
        sample(3000, rollup_kib=3000, vm_swap_kib=0),
        sample(2000, rollup_kib=2000, vm_swap_kib=1500),
        sample(1000, rollup_kib=1000, vm_swap_kib=2400),
    )
    assert [at_budget(kib, reading) for kib in (3499, 3500)] == [FAIL, PASS]
    assert judge(reading, Budget()).reason.startswith("idle: VmRSS 2,000 KiB + 1,500 KiB in swap + error bar 0 KiB ")
    assert reading.highest is reading.samples[1]


def test_where_a_kernel_has_no_swap_there_is_nothing_to_add() -> None:
    verdict = judge(proven(sample(2000, rollup_kib=2000, vm_swap_kib=None)), Budget())
    assert verdict.reason == "idle: VmRSS 2,000 KiB + error bar 0 KiB is within the budget of 5,120 KiB"


@pytest.mark.parametrize(
    ("rss_kib", "outcome"),
    [(4232, PASS), (4233, NOT_MEASURED), (5000, NOT_MEASURED), (5768, NOT_MEASURED), (5769, FAIL)],
)
def test_a_kernels_bound_is_an_error_bar_to_both_sides(rss_kib: int, outcome: Outcome) -> None:
    verdict = judge(proven(sample(rss_kib), lag_bound_kib=768), Budget(rss_kib=5000))
    assert verdict.outcome is outcome
    assert names_no_figure(verdict) == (outcome is NOT_MEASURED)


def test_swap_is_inside_the_error_bar_of_a_bound_too() -> None:
    reading = proven(sample(3000, vm_swap_kib=2768), lag_bound_kib=768)
    assert [at_budget(kib, reading) for kib in (4999, 5000, 6535, 6536)] == [FAIL, NOT_MEASURED, NOT_MEASURED, PASS]


def test_a_bound_is_not_asked_where_the_page_tables_were_walked() -> None:
    reading = proven(sample(5000, rollup_kib=5001), lag_bound_kib=768)
    assert [at_budget(kib, reading) for kib in (5000, 5001)] == [FAIL, PASS]


def test_a_kernel_whose_counters_are_exact_has_a_bound_of_nothing() -> None:
    reading = proven(sample(5000), lag_bound_kib=0)
    assert [at_budget(kib, reading) for kib in (4999, 5000)] == [FAIL, PASS]


def test_the_peak_is_the_highest_of_all_samples_and_only_held_to_a_budget_that_was_set() -> None:
    reading = proven(sample(1000, rollup_kib=1000, vm_hwm_kib=9000), sample(1000, rollup_kib=1000, vm_hwm_kib=8000))
    assert at_budget(2000, reading) is PASS
    assert [at_budget(2000, reading, kib) for kib in (8999, 9000)] == [FAIL, PASS]
    assert at_budget(2000, reading, 0) is FAIL  # a budget of nothing is one


def test_where_both_are_over_it_is_the_steady_figure_that_is_named() -> None:
    reading = proven(sample(3000, rollup_kib=3000, vm_hwm_kib=9000))
    verdict = judge(reading, Budget(rss_kib=2000, hwm_kib=2000))
    assert verdict.outcome is FAIL
    assert "VmRSS" in verdict.reason
    assert "VmHWM" not in verdict.reason


@pytest.mark.parametrize("kind", ["idle", "live", "bench"])
def test_every_result_names_its_kind(kind: str) -> None:
    reading = proven(sample(3000, rollup_kib=3000, vm_hwm_kib=4000), kind=kind)
    for budget in (Budget(), Budget(rss_kib=1), Budget(hwm_kib=1)):
        assert judge(reading, budget).reason.startswith(f"{kind}: ")


@pytest.mark.parametrize(("kind", "required"), [("idle", REQUIRED), ("live", REQUIRED_LIVE), ("bench", REQUIRED_BENCH)])
def test_no_evidence_at_all_is_every_proof_missing(kind: str, required: tuple[str, ...]) -> None:
    for samples in ((), (sample(1, rollup_kib=1),)):
        verdict = judge(Reading(kind, samples, ()), Budget(rss_kib=1 << 30))
        assert verdict.outcome is NOT_MEASURED
        assert verdict.reason == (
            f"the proof 'right_process' was never asked for (and {len(required) - 1} more proofs are missing)"
        )


def test_what_was_seen_missing_is_named_before_what_was_never_asked() -> None:
    failing = Evidence("settled", "VmRSS is steady", False, "VmRSS had not settled after 20.0 s")
    verdict = judge(Reading("idle", (), (failing,)), Budget())
    assert verdict.reason.startswith("VmRSS had not settled after 20.0 s (and ")


def test_one_other_missing_proof_is_said_in_the_singular() -> None:
    reading = proven(sample(1, rollup_kib=1))
    broken = tuple(replace(proof, ok=proof.name not in REQUIRED[:2]) for proof in reading.evidence)
    assert judge(replace(reading, evidence=broken), Budget()).reason == "seen (and 1 more proof is missing)"


@given(st.lists(st.booleans(), max_size=5))
def test_circumstances_are_shown_and_never_decide(shown: list[bool]) -> None:
    reading = proven(sample(1000, rollup_kib=1000))
    more = tuple(Evidence(f"shown{at}", "shown", ok, "seen", required=False) for at, ok in enumerate(shown))
    assert at_budget(1000, replace(reading, evidence=more + reading.evidence)) is PASS


@given(
    holds=st.lists(st.booleans(), min_size=len(REQUIRED_LIVE), max_size=len(REQUIRED_LIVE)),
    asked=st.lists(st.booleans(), min_size=len(REQUIRED_LIVE), max_size=len(REQUIRED_LIVE)),
    rss_kib=st.integers(0, 10_000),
)
def test_a_figure_is_spoken_only_where_every_proof_was_asked_for_and_holds(
    holds: list[bool], asked: list[bool], rss_kib: int
) -> None:
    reading = proven(sample(rss_kib, rollup_kib=rss_kib), kind="live")
    proofs = zip(reading.evidence, holds, asked, strict=True)
    verdict = judge(replace(reading, evidence=tuple(replace(p, ok=ok) for p, ok, was in proofs if was)), Budget())
    whole = all(holds) and all(asked)
    assert (verdict.outcome is NOT_MEASURED) == (not whole)
    assert names_no_figure(verdict) == (not whole)


def test_the_verdict_carries_the_budget_that_it_was_held_to() -> None:
    budget = Budget(rss_kib=7, hwm_kib=9)
    assert judge(Reading("idle", (), ()), budget).budget == budget
    assert judge(proven(sample(7, rollup_kib=7)), budget).budget == budget
