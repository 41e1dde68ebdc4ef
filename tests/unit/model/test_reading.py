"""What a reading says of its samples: the highest one counts, and the error bar is never a guess."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readings import proven, sample

figures = st.lists(st.tuples(st.integers(0, 20_000), st.none() | st.integers(0, 20_000)), min_size=1, max_size=10)


@given(figures)
def test_the_highest_sample_and_the_widest_gap_count(pairs: list[tuple[int, int | None]]) -> None:
    reading = proven(*(sample(rss, rollup_kib=rollup) for rss, rollup in pairs), lag_bound_kib=777)
    assert reading.rss_kib == max(rss for rss, _ in pairs)
    assert reading.highest is not None
    assert reading.highest.vm_rss_kib == reading.rss_kib
    gaps = [abs(rss - rollup) for rss, rollup in pairs if rollup is not None]
    assert reading.rss_error_kib == (max(gaps) if gaps else 777)
    assert reading.error_is_bound == (not gaps)


def test_without_samples_there_is_no_figure_at_all() -> None:
    reading = proven()
    assert (reading.rss_kib, reading.hwm_kib, reading.highest, reading.rss_error_kib) == (None,) * 4


def test_the_peak_is_the_highest_of_all_samples_and_not_that_of_the_highest() -> None:
    assert proven(sample(100, vm_hwm_kib=300), sample(200, vm_hwm_kib=250)).hwm_kib == 300


def test_a_reading_can_not_be_touched_up_afterwards() -> None:
    reading = proven(sample(100))
    with pytest.raises(FrozenInstanceError):
        reading.samples = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        reading.samples[0].vm_rss_kib = 1  # type: ignore[misc]
