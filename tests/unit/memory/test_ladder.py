"""Which rungs a ladder has, where the search for a hard limit ends, and which rung is recommended."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deploy.memory.ladder import (
    HARD_STEP_KIB,
    Climbed,
    hard_limit_kib,
    hard_rungs,
    recommended,
    soft_rungs,
)
from deploy.model.limits import Limits
from deploy.model.units import KIB, MIB


def rung(rss_kib: int | None, cpu_s: float = 1.0, *, holds: bool = True, gogc: int = 20) -> Climbed:
    limits = Limits(gogc_percent=gogc)
    return Climbed("GOGC", limits, holds, "", rss_kib=rss_kib, rss_error_kib=0, cpu_s=cpu_s)


def hard(kib: int, *, holds: bool) -> Climbed:
    return Climbed("hard", Limits(hard_bytes=kib * KIB), holds, "")


def test_each_soft_rung_changes_one_limit_and_has_no_hard_one() -> None:
    base = Limits(hard_bytes=MIB)
    rungs = soft_rungs(base, (8 * MIB, 2 * MIB), (100,))
    assert [(name, limits.gomemlimit_bytes, limits.gogc_percent) for name, limits in rungs] == [
        ("GOMEMLIMIT", 8 * MIB, 20),
        ("GOMEMLIMIT", 2 * MIB, 20),
        ("GOGC", 5 * MIB, 100),
    ]
    assert all(limits.hard_bytes is None for _, limits in rungs)


@given(st.integers(300, 100_000), st.integers(1, 100_000))
def test_the_search_ends_a_step_above_what_fails(peak_kib: int, least_kib: int) -> None:
    search = hard_rungs(peak_kib)
    tried, tried_kib = [], next(search)
    while True:
        tried.append(tried_kib)
        assert len(tried) < 40 and tried_kib % HARD_STEP_KIB == 0
        try:
            tried_kib = search.send(tried_kib >= least_kib)
        except StopIteration:
            break
    held = [each for each in tried if each >= least_kib]
    if held:
        assert min(held) - HARD_STEP_KIB < max(least_kib, HARD_STEP_KIB)
    else:
        assert len(tried) == 1, "not even twice the peak holds"


def test_the_smallest_that_holds_is_recommended_unless_it_is_bought_with_cpu() -> None:
    small, cheap = rung(2000, 1.2, gogc=20), rung(3000, 1.0, gogc=100)
    assert recommended([cheap, small]) is small
    assert recommended([cheap, replace(small, cpu_s=1.6)]) is cheap
    assert recommended([cheap, replace(small, holds=False)]) is cheap
    assert recommended([cheap, replace(small, rss_kib=None)]) is cheap, "it answers, and has no figure"


def test_one_clock_tick_of_cpu_does_not_decide() -> None:
    cheaper, smaller = (replace(rung(size, cpu_s), cpu_tick_s=0.01) for size, cpu_s in ((3300, 0.01), (2300, 0.02)))
    assert recommended([cheaper, smaller]) is smaller
    assert recommended([cheaper, replace(smaller, cpu_s=0.03)]) is cheaper


def test_of_two_that_are_alike_the_one_with_less_cpu_is_taken() -> None:
    assert recommended([rung(2000, 1.2), rung(2060, 1.0, gogc=100)]) == rung(2060, 1.0, gogc=100)


def test_where_none_holds_none_is_recommended() -> None:
    assert recommended([]) is None and recommended([rung(None, holds=False), hard(4096, holds=True)]) is None


def test_a_hard_limit_is_recommended_with_a_margin() -> None:
    assert hard_limit_kib([hard(4096, holds=True), hard(2816, holds=True), hard(2560, holds=False)]) == 3584
    assert hard_limit_kib([hard(4096, holds=False)]) is None
