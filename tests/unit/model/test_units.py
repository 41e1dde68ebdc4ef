"""Sizes: exact, in the units that Go takes, round trip and all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.model.limits import Limits
from deploy.model.units import KIB, MIB, go_size, parse_size, show_bytes, show_kib

sizes = (
    st.integers(0, 2**62 // 10)
    | st.integers(0, 10**6).map(lambda n: n * KIB)
    | st.integers(0, 4096).map(lambda n: n * MIB)
)


@given(sizes)
def test_what_go_gets_means_the_same_bytes(size: int) -> None:
    assert parse_size(go_size(size)) == size
    assert Limits(gomemlimit_bytes=size).environment()["GOMEMLIMIT"] == go_size(size)


@given(sizes, st.sampled_from(["", "B", "b", " B ", "\tB"]))
def test_plain_bytes_are_bytes_to_the_last_one(size: int, suffix: str) -> None:
    assert parse_size(f"{size}{suffix}") == size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5MiB", 5 * MIB),
        ("5 mib", 5 * MIB),
        ("5120KiB", 5 * MIB),
        ("0.5KiB", 512),
        ("1.5GiB", 1536 * MIB),
        ("0", 0),
        ("9007199254740993", 2**53 + 1),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MiB",
        "5MB",
        "5kB",
        "5M",
        "-5MiB",
        "+5",
        "5,120KiB",
        "5 MiB extra",
        "0.3B",
        "1e3",
        "0x10",
        "٥MiB",
        "inf",
        "nan",
        "5..0",
        ".5MiB",
        "5_0",
        "9" * 400,
        "9" * 5000,
    ],
)
def test_what_is_no_size_is_refused_by_name_and_never_guessed(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|whole number"):
        parse_size(text)


@given(st.text(max_size=30))
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    try:
        assert parse_size(text) >= 0
    except ValueError as error:
        assert repr(text) in str(error)


def test_the_largest_unit_that_keeps_it_whole() -> None:
    assert [go_size(n) for n in (0, 1, 1024, 1025, MIB, MIB + KIB)] == ["0B", "1B", "1KiB", "1025B", "1MiB", "1025KiB"]


def test_figures_for_people() -> None:
    assert (show_kib(3056), show_kib(0)) == ("3,056 KiB", "0 KiB")
    assert [show_bytes(n) for n in (0, 1023, 1024, 4_718_592)] == ["0 B", "1023 B", "1.0 KiB", "4.5 MiB"]
