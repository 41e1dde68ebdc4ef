"""Whether B takes more than A: the interval of paired differences, and what follows from it."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.memory.comparison import difference, order

FIGURES = st.lists(st.tuples(st.integers(1000, 9000), st.integers(1000, 9000)), min_size=2, max_size=40)


def test_the_interval_is_students() -> None:
    # Differences 10, 12, 14: mean 12, standard deviation 2, t(0.975, 2) = 4.303; 4.303 * 2 / sqrt(3) = 4.969.
    found = difference([100, 100, 100], [110, 112, 114])
    assert (found.pairs, found.mean_kib, found.mean_a_kib, found.mean_b_kib) == (3, 12, 100, 112)
    assert (found.low_kib, found.high_kib) == (pytest.approx(7.031, abs=0.001), pytest.approx(16.969, abs=0.001))


def test_worse_is_only_what_is_so_with_all_of_the_interval() -> None:
    found = difference([100, 100, 100], [110, 112, 114])
    assert found.worse(7) and not found.worse(8)
    assert not found.open(7) and found.open(8) and found.open(16) and not found.open(17)


def test_what_drifts_in_both_is_in_neither() -> None:
    drift = [0, 500, 1000, 1500]
    found = difference([2000 + each for each in drift], [2010 + each for each in drift])
    assert (found.mean_kib, found.low_kib, found.high_kib) == (10, 10, 10)


@given(FIGURES)
def test_the_mean_lies_in_the_interval_and_swapping_turns_it_round(pairs: list[tuple[int, int]]) -> None:
    a, b = [each for each, _ in pairs], [each for _, each in pairs]
    there, back = difference(a, b), difference(b, a)
    assert there.low_kib <= there.mean_kib <= there.high_kib
    assert there.mean_kib == pytest.approx(statistics.fmean(b) - statistics.fmean(a), abs=1e-6)
    assert (there.low_kib, there.high_kib) == (pytest.approx(-back.high_kib), pytest.approx(-back.low_kib))


@pytest.mark.parametrize(("a", "b"), [([], []), ([1], [2]), ([1, 2], [1, 2, 3])])
def test_too_few_or_unpaired_figures_are_no_comparison(a: list[int], b: list[int]) -> None:
    with pytest.raises(ValueError, match="pairs at least"):
        difference(a, b)


def test_neither_is_always_first() -> None:
    assert order(4) == [(0, 1), (1, 0), (0, 1), (1, 0)]
