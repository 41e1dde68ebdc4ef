"""Times and rates as tc(8) writes them: read exactly, or refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.cli import options
from deploy.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("40ms", 0.04), ("0.2s", 0.2), ("250us", 0.00025), ("1 s", 1.0), (" 5MS ", 0.005), ("60s", 60)],
)
def test_times_as_people_write_them(text: str, expected: float) -> None:
    assert options.seconds(text, "latency") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10mbit", 10e6), ("500kbit", 500e3), ("9600bit", 9600), ("1gbit", 1e9), ("10mbps", 80e6), ("1.5Mbit", 1.5e6)],
)
def test_rates_are_powers_of_ten_and_bps_are_bytes(text: str, expected: float) -> None:
    assert options.bits_per_second(text, "bandwidth") == pytest.approx(expected)


@given(st.integers(1, 60_000))
def test_milliseconds_and_seconds_say_the_same(milliseconds: int) -> None:
    written = f"{milliseconds // 1000}.{milliseconds % 1000:03d}s"
    assert options.seconds(f"{milliseconds}ms", "latency") == pytest.approx(options.seconds(written, "latency"))


@given(st.integers(1, 10**7))
def test_kilobits_and_bits_say_the_same(kbit: int) -> None:
    assert options.bits_per_second(f"{kbit}kbit", "bandwidth") == pytest.approx(kbit * 1000.0)
    assert options.bits_per_second(f"{kbit}kbps", "bandwidth") == pytest.approx(kbit * 8000.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "40",
        "ms",
        "-1ms",
        "+1ms",
        "0ms",
        "61s",
        "1e3ms",
        "1.ms",
        ".5s",
        "1,5s",
        "٥ms",
        "nan s",
        "infs",
        "1m",
        "1ms 2",
    ],
)
def test_what_is_no_time_is_refused_by_the_flags_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"--latency takes a time such as 40ms"):
        options.seconds(text, "latency")


def test_the_most_that_a_duration_may_be_is_said_as_a_user_would_write_it() -> None:
    for most, said in ((90 * 86400.0, "90d"), (600.0, "10m"), (7200.0, "2h"), (0.5, "0.5s")):
        with pytest.raises(UsageError, match=rf"\(at most {said}\), not"):
            options.duration_s("99999d", "for", least=0.2, most=most)


@pytest.mark.parametrize(
    "text", ["", "10", "mbit", "0kbit", "-1mbit", "1000gbit", "10MiB", "10mb", "1e3bit", "40ms", "٥mbit"]
)
def test_what_is_no_rate_is_refused_by_the_flags_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"--bandwidth takes a rate such as 500kbit"):
        options.bits_per_second(text, "bandwidth")


@given(st.text(max_size=20))
def test_no_text_raises_anything_but_a_usage_error(text: str) -> None:
    for read in (options.seconds, options.bits_per_second):
        try:
            assert read(text, "flag") > 0
        except UsageError as error:
            assert repr(text) in str(error)
