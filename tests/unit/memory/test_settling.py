"""When VmRSS counts as steady: the rule by itself, and the loop on the board that has to stop where the rule does."""

from __future__ import annotations

import pytest
from gateways import Gateways
from hypothesis import given
from hypothesis import strategies as st
from readings import sample

from deploy.board_shell.observation import Missed
from deploy.board_shell.samples import Pace
from deploy.memory.idle import idle_reading
from deploy.memory.settling import settled
from deploy.model.reading import Sample
from deploy.transport.local import LocalTransport

PACE = Pace(steady=3, tolerance_kib=64)
FIGURES = st.lists(st.integers(0, 5000), min_size=1, max_size=40)


def looks(*figures: int, every_s: float = 1.0) -> list[Sample | Missed]:
    return [sample(figure, at_s=100 + at * every_s) for at, figure in enumerate(figures)]


@pytest.mark.parametrize(
    ("figures", "first_steady"),
    [
        ((1000, 1000, 1000), 0),
        ((1000, 1064, 936), 0),  # each within the tolerance of the first, though not of each other
        ((1000, 1065, 1065, 1065), 1),
        ((1000, 935, 935, 935), 1),  # what shrinks has not settled either, until it stays
        ((1000, 1030, 1060, 1090, 1120, 1130), 3),  # a slow climb starts anew wherever it leaves the tolerance
        ((4000, 3000, 2000, 2000, 2000), 2),
    ],
)
def test_only_the_samples_since_the_last_move_are_steady(figures: tuple[int, ...], first_steady: int) -> None:
    found = settled(looks(*figures), PACE)
    assert found.ok
    assert [each.vm_rss_kib for each in found.samples] == list(figures[first_steady:])
    count, after_s = len(figures) - first_steady, float(first_steady)
    assert found.detail == f"{count} samples over {count - 1:.1f} s, steady after {after_s} s"


@pytest.mark.parametrize("figures", [(), (1000,), (1000, 1000), (1, 2, 500)])
def test_too_few_samples_are_never_steady(figures: tuple[int, ...]) -> None:
    found = settled(looks(*figures), PACE)
    assert not found.ok
    assert len(found.samples) == len(figures)


def test_with_no_tolerance_one_page_is_a_move() -> None:
    exact = Pace(steady=3, tolerance_kib=0)
    assert settled(looks(1000, 1000, 1000), exact).ok
    assert not settled(looks(1000, 1000, 1004), exact).ok


@pytest.mark.parametrize(
    ("figures", "ok"),
    [
        ((1000, 1300, 1000, 1300, 1000, 1364), True),
        ((1000, 1300, 1000, 1300, 1000, 1365), False),
        ((1000, 1300, 1000, 1300, 1000), False),  # fewer than twice what a steady run takes
        ((1000, 1200, 1400, 1600, 1800, 2000, 2200), False),
        ((1000, 1300, 1000, 1800, 1000, 1300, 1000), False),  # of an odd number the middle one is late
        ((1000, 1800, 1000, 1300, 1000, 1300, 1000), True),
    ],
)
def test_what_moves_and_does_not_grow_is_judged_by_its_highest(figures: tuple[int, ...], ok: bool) -> None:
    found = settled(looks(*figures), PACE)
    assert found.ok is ok
    assert len(found.samples) == len(figures)
    span_s = f"{len(figures) - 1:.1f} s"
    in_motion = f"{len(figures)} samples over {span_s}: in motion, and not growing"
    assert found.detail == (in_motion if ok else f"VmRSS had not settled after {span_s}")


@pytest.mark.parametrize("at", range(5))
def test_one_look_without_figures_spoils_the_set_wherever_it_is(at: int) -> None:
    seen = looks(1000, 1000, 1000, 1000)
    seen.insert(at, Missed(100.0, None, "", "it was gone"))
    found = settled(seen, PACE)
    assert not found.ok
    assert len(found.samples) == 4


def test_no_detail_quotes_a_figure_of_memory() -> None:
    for figures in ((4321,) * 3, (4321, 5321, 6321), (4321, 5321) * 3, (4321,)):
        assert "321" not in settled(looks(*figures), PACE).detail


@given(FIGURES)
def test_whatever_the_samples_the_steady_ones_are_the_last_and_near_each_other_or_all_of_them(
    figures: list[int],
) -> None:
    found = settled(looks(*figures), PACE)
    kept = [each.vm_rss_kib for each in found.samples]
    assert kept == figures[len(figures) - len(kept) :]
    if found.ok and len(kept) < len(figures):
        assert len(kept) >= PACE.steady
        assert all(abs(kib - kept[0]) <= PACE.tolerance_kib for kib in kept)


@given(st.integers(0, 5000), st.lists(st.integers(65, 500), min_size=2, max_size=40))
def test_what_never_stops_growing_or_shrinking_more_than_the_tolerance_is_handled_alike(
    start: int, steps: list[int]
) -> None:
    climbing = [start]
    for step in steps:
        climbing.append(climbing[-1] + step)
    assert not settled(looks(*climbing), PACE).ok
    falling = settled(looks(*reversed(climbing)), PACE)
    assert falling.ok == (len(climbing) >= 2 * PACE.steady)  # it does not grow, and its highest is the one that counts
    assert falling.samples[0].vm_rss_kib == climbing[-1]


# --- the loop on the board


def test_the_board_stops_asking_as_soon_as_the_rule_is_content(gateways: Gateways) -> None:
    gateways.runs(gateways.supervise())
    reading = idle_reading(
        LocalTransport(), gateways.subject(), pace=Pace(steady=4, interval_s=0.01, settle_s=5, most=50)
    )
    assert len(reading.samples) == 4


def test_the_board_asks_no_more_than_it_may_and_says_that_it_was_too_little(gateways: Gateways) -> None:
    gateways.runs(gateways.supervise())
    reading = idle_reading(
        LocalTransport(), gateways.subject(), pace=Pace(steady=9, interval_s=0.01, settle_s=5, most=3)
    )
    proof = next(each for each in reading.evidence if each.name == "settled")
    assert (proof.ok, proof.detail) == (False, "3 samples with figures were had; 9 are needed")


def test_a_board_too_slow_for_the_time_gets_the_looks_that_a_verdict_needs(gateways: Gateways) -> None:
    gateways.runs(gateways.supervise())
    slow = Pace(steady=4, interval_s=0.6, settle_s=1)  # 1.8 s: more than that, less than thrice
    reading = idle_reading(LocalTransport(), gateways.subject(), pace=slow)
    proof = next(each for each in reading.evidence if each.name == "settled")
    assert proof.ok, proof.detail
    assert len(reading.samples) == 4


def test_a_board_too_slow_even_so_is_not_waited_for_without_end(gateways: Gateways) -> None:
    gateways.runs(gateways.supervise())
    hopeless = Pace(steady=40, interval_s=0.5, settle_s=1)
    reading = idle_reading(LocalTransport(), gateways.subject(), pace=hopeless)
    proof = next(each for each in reading.evidence if each.name == "settled")
    assert not proof.ok and proof.detail.endswith("samples with figures were had; 40 are needed")
    assert len(reading.samples) < 10


def test_who_has_had_looks_enough_gets_no_more_time_for_being_unsteady(gateways: Gateways) -> None:
    gateways.runs(gateways.supervise())
    never_content = Pace(steady=2, interval_s=0.2, tolerance_kib=-1, settle_s=2)
    samples = idle_reading(LocalTransport(), gateways.subject(), pace=never_content).samples
    assert len(samples) >= 2
    assert samples[-1].at_s - samples[0].at_s < 4
