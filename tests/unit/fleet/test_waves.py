"""Waves: how a fleet is divided, so that nobody is in two of them and nobody is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import UsageError
from deploy.fleet.waves import parse_waves, plan_waves

PARTS = st.one_of(
    st.integers(1, 10**6).map(str),
    st.integers(1, 100).map(lambda share: f"{share}%"),
    st.decimals(min_value="0.1", max_value=100, places=1).map(lambda share: f"{share}%"),
)
MEMBERS = st.lists(st.text(min_size=1, max_size=8), max_size=300)


def sizes(text: str, fleet: int) -> list[int]:
    return [len(wave.members) for wave in plan_waves(parse_waves(text), [f"edge-{n:04}" for n in range(fleet)])]


def test_the_waves_of_the_manual_divide_a_thousand_hosts() -> None:
    assert parse_waves("1,5%,25%,rest") == ("1", "5%", "25%", "rest")
    assert sizes("1,5%,25%,rest", 1000) == [1, 50, 250, 699]


def test_rest_is_added_and_blanks_and_capitals_do_not_matter() -> None:
    assert parse_waves(" 1 , 5% ") == ("1", "5%", "rest")
    assert parse_waves("REST") == ("rest",)


def test_a_share_is_of_the_whole_fleet_and_rounded_up() -> None:
    assert sizes("5%", 30) == [2, 28]
    assert sizes("0.1%,50%", 10) == [1, 5, 4]
    assert sizes("100%", 7) == [7]


def test_a_small_fleet_has_fewer_waves_and_no_empty_one() -> None:
    assert sizes("1,5%,25%,rest", 2) == [1, 1]
    assert sizes("5", 3) == [3]
    assert sizes("1", 0) == []


def test_hosts_keep_their_order_and_waves_count_from_one() -> None:
    first, second = plan_waves(("2", "rest"), ["c", "a", "b"])
    assert (first.number, first.members, second.number, second.members) == (1, ("c", "a"), 2, ("b",))


@given(st.lists(PARTS, min_size=1, max_size=8), st.booleans(), MEMBERS)
def test_nobody_is_forgotten_nobody_is_twice_and_no_wave_is_empty(
    parts: list[str], rest: bool, members: list[str]
) -> None:
    waves = plan_waves(parse_waves(",".join([*parts, *["rest"] * rest])), members)
    assert [name for wave in waves for name in wave.members] == list(dict.fromkeys(members))
    assert all(wave.members for wave in waves)
    assert [wave.number for wave in waves] == list(range(1, len(waves) + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1,,2",
        "0",
        "00",
        "-1",
        "0%",
        "0.0%",
        "101%",
        "rest,1",
        "rest,rest",
        "5 %x",
        "1e3",
        "½",
        "٣",
        "9" * 5000,
    ],
)
def test_what_is_no_wave_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(UsageError, match="1,5%,25%,rest"):
        parse_waves(text)


@given(st.text(max_size=20))
def test_any_text_is_either_waves_or_a_usage_error(text: str) -> None:
    try:
        waves = parse_waves(text)
    except UsageError:
        return
    assert waves[-1] == "rest" and parse_waves(",".join(waves)) == waves
