"""VmRSS over a fleet: percentiles that some host has, bins that hold everybody, outliers with a reason."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.fleet.spread import MOST_BINS, nearest_rank, spread_of
from deploy.model.rollout import Result, State

FIGURES = st.lists(st.integers(0, 10**7), min_size=1, max_size=200)


def measured(*figures: int | None, board: str = "") -> list[Result]:
    return [
        Result(f"{board or 'edge'}-{number}", State.DEPLOYED, rss_kib=kib, board=board)
        for number, kib in enumerate(figures)
    ]


def test_percentiles_are_by_nearest_rank() -> None:
    # The example of the method's usual definition: 15, 20, 35, 40, 50.
    values = [35, 20, 15, 50, 40]
    assert [nearest_rank(values, percent) for percent in (5, 30, 40, 50, 100)] == [15, 20, 20, 35, 50]
    assert nearest_rank([*range(1, 101)], 95) == 95 and nearest_rank([*range(1, 22)], 95) == 20


@given(FIGURES, st.integers(1, 100))
def test_a_percentile_is_the_least_figure_that_is_not_exceeded_by_that_share(values: list[int], percent: int) -> None:
    found = nearest_rank(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


@pytest.mark.parametrize("percent", [0, 101])
def test_there_is_no_percentile_of_nothing(percent: int) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        nearest_rank([], 50)
    with pytest.raises(ValueError, match="no percentile"):
        nearest_rank([1], percent)


def test_only_hosts_with_the_new_release_count_and_those_not_measured_are_told() -> None:
    failed = Result("down", State.FAILED, rss_kib=99_999)
    spread = spread_of([*measured(3000, 3100, None, 3200), failed])
    assert (spread.count, spread.not_measured, spread.min_kib, spread.max_kib) == (3, 1, 3000, 3200)
    assert (spread.median_kib, spread.p95_kib, spread.mean_kib) == (3100, 3200, 3100.0)


def test_of_nothing_there_is_no_figure_and_no_bin() -> None:
    spread = spread_of(measured(None, None))
    assert (spread.count, spread.not_measured, spread.bins, spread.outliers) == (0, 2, (), ())


def test_a_host_far_out_is_an_outlier_with_a_sentence() -> None:
    spread = spread_of(measured(3000, 3004, 3010, 2996, 3008, 9120, board="licheerv"))
    (outlier,) = spread.outliers
    assert outlier.member == "licheerv-5"
    assert outlier.sentence == "6,116 KiB above 3,004 KiB, the median of 6 hosts with the board licheerv"


def test_hosts_are_held_against_their_own_board() -> None:
    small = measured(*[3000] * 20, board="small")
    large = measured(*[9000] * 6, 3000, board="large")
    assert [outlier.member for outlier in spread_of([*small, *large]).outliers] == ["large-6"]


def test_hosts_that_differ_by_a_few_pages_are_no_outliers() -> None:
    assert spread_of(measured(*[3000] * 50, 3004, 2996, 3012, 3020)).outliers == ()


def test_what_a_gateway_moves_by_itself_makes_no_outlier_however_alike_the_others_are() -> None:
    alike = [3000] * 1200
    assert spread_of(measured(*alike, 3300, 2700)).outliers == ()
    (outlier,) = spread_of(measured(*alike, 3304)).outliers
    assert outlier.sentence == "304 KiB above 3,000 KiB, the median of 1,201 hosts"


def test_of_a_few_hosts_none_is_the_odd_one() -> None:
    assert spread_of(measured(3000, 3000, 3000, 9000)).outliers == ()


def test_one_host_far_out_leaves_the_bins_of_the_others_narrow() -> None:
    spread = spread_of(measured(*range(3000, 3100, 4), 80_000))
    assert [outlier.member for outlier in spread.outliers] == ["edge-25"]
    assert spread.bins[0].to_kib - spread.bins[0].from_kib == 20
    assert (spread.bins[-1].to_kib, spread.bins[-1].count) == (80_020, 1)


@given(FIGURES)
def test_every_host_is_in_one_bin_and_bounds_are_round(figures: list[int]) -> None:
    spread = spread_of(measured(*figures))
    assert sum(bin.count for bin in spread.bins) == len(figures)
    assert all(low.to_kib == high.from_kib for low, high in pairwise(spread.bins))
    assert all(bin.from_kib % 10 == 0 and bin.from_kib < bin.to_kib for bin in spread.bins)
    assert spread.bins[0].from_kib <= min(figures) and spread.bins[-1].to_kib > max(figures)
    assert len(spread.bins) <= MOST_BINS
