"""Gates between waves: what passes one, what misses it and how that is told, and what was not measured never passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import UsageError
from deploy.fleet.gates import NAMES, judge, most_failures, parse_gate, parse_max_fail, too_many
from deploy.model.rollout import Missed, Policy, Result, State


def host(name: str, rss_kib: int | None = 3000, state: State = State.DEPLOYED, **more: object) -> Result:
    given_: dict[str, object] = {"verdict": "PASS" if rss_kib is not None else "NOT MEASURED", "rss_error_kib": 0}
    return Result(name, state, rss_kib=rss_kib, **(given_ | more))  # type: ignore[arg-type]


def missed(gate: str, results: list[Result]) -> Missed | None:
    found = judge([parse_gate(gate)], results)
    return found[0] if found else None


def sentence(gate: str, results: list[Result]) -> str:
    found = missed(gate, results)
    assert found is not None
    return found.sentence


def test_a_gate_that_is_kept_says_nothing() -> None:
    results = [host("a"), host("b", hwm_kib=4000, seconds=3.0)]
    assert (
        judge([parse_gate("max-rss<=5MiB"), parse_gate("p95-seconds<=20"), parse_gate("pass-share>=99%")], results)
        == ()
    )


def test_a_figure_above_its_bound_is_told_with_the_bound_and_the_worst_three() -> None:
    results = [host(f"edge-{number}", 5000 + 100 * number) for number in range(10)]
    found = missed("p95-rss<=5MiB", results)
    assert found == Missed(
        "p95-rss<=5MiB",
        "p95-rss<=5MiB: p95 VmRSS with its error bar is 5,900 KiB, the most is 5,120 KiB; the worst: "
        "edge-9 (5,900 KiB), edge-8 (5,800 KiB), edge-7 (5,700 KiB) and 5 more",
        ("edge-9", "edge-8", "edge-7"),
    )


def test_the_error_bar_is_part_of_the_figure() -> None:
    assert missed("max-rss<=5120KiB", [host("a", 5110, rss_error_kib=10)]) is None
    assert "5,121 KiB" in sentence("max-rss<=5120KiB", [host("a", 5110, rss_error_kib=11)])
    assert "not measured" in sentence("max-rss<=5120KiB", [host("a", 5110, rss_error_kib=None)])


def test_a_host_that_was_not_measured_counts_as_above_every_bound() -> None:
    twenty = [host(f"edge-{number:02}") for number in range(19)] + [host("dark", None)]
    assert missed("p95-rss<=5MiB", twenty) is None, "19 of 20 are known to be below it, and that is 95 %"
    assert sentence("max-rss<=5MiB", twenty) == (
        "max-rss<=5MiB: 1 of 20 hosts was not measured, so max VmRSS with its error bar is not known to be at most "
        "5,120 KiB; the worst: dark (not measured), edge-00 (3,000 KiB), edge-01 (3,000 KiB)"
    )
    assert "2 of 21 hosts were not measured" in sentence("p95-rss<=5MiB", [*twenty, host("darker", None)])


def test_hosts_without_the_new_release_have_no_part_in_a_figure() -> None:
    failed = host("old", 9000, State.FAILED, seconds=900.0)
    gone = host("gone", None, State.UNREACHABLE)
    assert missed("max-rss<=5MiB", [host("a"), failed, gone]) is None
    assert missed("max-seconds<=20", [host("a", seconds=20.0), failed, gone]) is None


@pytest.mark.parametrize("results", [[], [host("a", None, State.UNREACHABLE)]])
def test_where_the_release_runs_nowhere_every_gate_is_missed(results: list[Result]) -> None:
    for gate in ("max-rss<=5MiB", "median-seconds<=20", "max-hwm<=8MiB", "pass-share>=1%", "measured-share>=1%"):
        assert missed(gate, results) is not None


def test_the_peak_and_the_time_have_gates_too() -> None:
    results = [host("a", hwm_kib=9000, seconds=21.04), host("b", hwm_kib=3000, seconds=1.0)]
    assert missed("median-hwm<=8MiB", results) is None
    assert "max VmHWM is 9,000 KiB, the most is 8,192 KiB" in sentence("max-hwm<=8MiB", results)
    assert "max time is 21.0 s, the most is 20.0 s; the worst: a (21.0 s)" in sentence("max-seconds<=20s", results)


def test_a_share_is_of_all_that_were_tried() -> None:
    good = [host(f"edge-{number}") for number in range(97)]
    gone = host("gone", None, State.UNREACHABLE, verdict="")
    large = host("large", 9000, verdict="FAIL")
    broken = host("broken", None, State.FAILED, verdict="")
    waiting = host("later", None, State.WAITING, verdict="")
    results = [*good, gone, large, broken, waiting]
    assert missed("pass-share>=97%", results) is None
    assert missed("measured-share>=98%", results) is None
    assert sentence("pass-share>=99%", results) == (
        "pass-share>=99%: 97 of 100 hosts passed, 97.0%; the least is 99%; the worst: "
        "broken (failed), large (FAIL), gone (unreachable)"
    )
    assert "98 of 100 hosts were measured, 98.0%; the least is 98.5%" in sentence("measured-share>=98.5%", results)


def test_a_share_that_is_missed_by_a_hair_is_not_shown_as_kept() -> None:
    results = [host(f"edge-{number}") for number in range(2999)] + [host("dark", None)]
    assert "99.9%; the least is 100%" in sentence("measured-share>=100%", results)


RESULTS = st.builds(
    host,
    st.text("abc", min_size=1, max_size=3),
    st.none() | st.integers(0, 20_000),
    st.sampled_from(State),
    rss_error_kib=st.none() | st.integers(0, 500),
)


@given(st.lists(RESULTS, max_size=60, unique_by=lambda result: result.member), st.integers(1, 20))
def test_a_percentile_gate_is_kept_only_where_that_share_is_known_to_be_below(results: list[Result], mib: int) -> None:
    well = [result for result in results if result.state.is_well]
    known = [
        result
        for result in well
        if result.rss_kib is not None
        and result.rss_error_kib is not None
        and result.rss_kib + result.rss_error_kib <= mib * 1024
    ]
    for part, percent in (("median", 50), ("p95", 95), ("max", 100)):
        kept = missed(f"{part}-rss<={mib}MiB", results) is None
        assert kept == (bool(well) and len(known) * 100 >= percent * len(well))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("p95-rrs<=5MiB", "did you mean p95-rss"),
        ("maxrss<=5MiB", "did you mean max-rss"),
        ("pas-share>=5%", "did you mean pass-share"),
        ("zzz<=5", "known are median-rss"),
        ("p95-rss", "write it as p95-rss<=5MiB"),
        ("", "write it as"),
        ("p95-rss>=5MiB", "p95-rss<=5MiB"),
        ("pass-share<=99%", "pass-share>=99%"),
        ("max-rss<5MiB", "max-rss<=5MiB"),
        ("max-rss<=5MB", "5MiB, 5120KiB"),
        ("max-rss<=-5MiB", "is not a size"),
        ("pass-share>=99", "no share"),
        ("pass-share>=0%", "no share"),
        ("pass-share>=101%", "no share"),
        ("p95-seconds<=20m", "no number of seconds"),
        ("p95-seconds<=nan", "no number of seconds"),
    ],
)
def test_what_is_no_gate_is_refused_with_what_is_near(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    assert told in caught.value.problem


def test_a_gate_may_have_blanks_and_capitals() -> None:
    assert parse_gate(" P95-RSS <= 5MiB ").bound == 5120
    assert all(parse_gate(f"{name}>=50%" if "share" in name else f"{name}<=10").name == name for name in NAMES)


@given(st.text(max_size=30))
def test_any_text_is_a_gate_or_a_usage_error(text: str) -> None:
    for parse in (parse_gate, parse_max_fail):
        try:
            parse(text)
        except UsageError as error:
            assert "write it as" in error.problem or "is held to" in error.problem or "called" in error.problem


@pytest.mark.parametrize(
    ("text", "total", "most"), [("0", 9, 0), ("3", 2, 3), ("5%", 30, 1), ("0.5%", 1000, 5), ("100%", 7, 7)]
)
def test_how_many_may_fail(text: str, total: int, most: int) -> None:
    assert most_failures(text, total) == most


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "%", "5 %", "1e2", "9" * 5000])
def test_what_is_no_number_of_failures_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write it as 3 or 5%"):
        parse_max_fail(text)


def test_more_failures_than_the_policy_takes_are_told_and_others_do_not_count() -> None:
    failed = [host(f"bad-{number}", None, State.FAILED) for number in range(4)]
    others = [host("gone", None, State.UNREACHABLE), host("back", None, State.ROLLED_BACK), host("fine")]
    assert too_many(Policy((), max_fail="4"), [*failed, *others], 100) is None
    found = too_many(Policy((), max_fail="3%"), [*failed, *others], 100)
    assert found == Missed(
        "max-fail 3%",
        "4 hosts have failed, more than --max-fail 3% (of 100 hosts: 3): bad-0, bad-1, bad-2 and 1 more",
        ("bad-0", "bad-1", "bad-2"),
    )
    assert too_many(Policy(()), others, 3) is None and too_many(Policy(()), failed[:1], 3) is not None
