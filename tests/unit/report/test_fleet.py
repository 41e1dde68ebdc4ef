"""What is shown of a rollout: every host is in it, what matters comes first, and the sums are right."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deploy.fleet.spread import spread_of
from deploy.model.rollout import Missed, Phase, Policy, Result, Rollout, State, Wave
from deploy.model.units import show_span
from deploy.report.fleet import (
    COLUMNS,
    counts_of,
    current_wave,
    eta_s,
    final_rows,
    fleet_document,
    histogram_lines,
    host_row,
    progress_line,
    spread_rows,
    totals_line,
    wave_rows,
)

NAMES = tuple(f"edge-{number:03}" for number in range(51))
POLICY = Policy(("1", "rest"), ("max-rss<=5MiB",), at_once=10, pause_s=30.0)
ROLLOUT = Rollout(
    "20261123-221503-3f9a",
    "2026-11-23T22:15:03Z",
    Phase.RUNNING,
    POLICY,
    "fleet.toml",
    {"port": "8081"},
    (Wave(1, NAMES[:1]), Wave(2, NAMES[1:])),
)


def results(*each: Result) -> dict[str, Result]:
    return {result.member: result for result in each}


def well(name: str, rss_kib: int | None = 3000, **more: object) -> Result:
    return replace(Result(name, State.DEPLOYED, rss_kib=rss_kib, rss_error_kib=8, seconds=4.0), **more)


CANARY = results(well(NAMES[0]))


def test_progress_tells_the_wave_the_sums_and_the_time_that_is_left() -> None:
    found = CANARY | results(Result(NAMES[1], State.FAILED, seconds=8.0), Result(NAMES[2], State.UNDER_WAY))
    assert progress_line(ROLLOUT, found) == (
        "wave 2 of 2: 1 of 50 done; about 30 s left; 51 hosts: 1 under way, 1 failed, 1 deployed, 48 waiting"
    )


def test_the_time_that_is_left_counts_rounds_and_pauses_to_come() -> None:
    assert eta_s(ROLLOUT, {}) is None
    assert eta_s(ROLLOUT, CANARY) == 5 * 4.0 + 30.0, "fifty hosts, ten at once, 4 s each, after a pause"
    assert eta_s(ROLLOUT, results(*(well(name) for name in NAMES))) == 0


def test_a_host_out_of_reach_holds_its_wave_up_no_longer() -> None:
    assert current_wave(ROLLOUT, results(Result(NAMES[0], State.UNDER_WAY))) == ROLLOUT.waves[0]
    assert current_wave(ROLLOUT, results(Result(NAMES[0], State.UNREACHABLE))) == ROLLOUT.waves[1]
    everybody = results(*(well(name) for name in NAMES))
    assert current_wave(ROLLOUT, everybody) is None
    assert progress_line(ROLLOUT, everybody) == "51 hosts: 51 deployed"


def test_a_wave_is_grouped_by_state_and_what_went_wrong_comes_first() -> None:
    wave = Wave(1, ("a", "b", "c", "d"))
    found = results(Result("b", State.UNDER_WAY), well("c"), Result("d", State.FAILED))
    assert [row[:2] for row in wave_rows(wave, found)] == [
        ("b", "under way"),
        ("d", "failed"),
        ("c", "deployed"),
        ("a", "waiting"),
    ]


def test_a_large_wave_is_cut_short_and_says_how_many_more_there_are() -> None:
    found = results(*(well(name) for name in NAMES[1:31]), Result(NAMES[31], State.FAILED))
    rows = wave_rows(ROLLOUT.waves[1], found, most=6)
    assert [row[:2] for row in rows] == [
        ("edge-031", "failed"),
        ("edge-001", "deployed"),
        ("edge-002", "deployed"),
        ("edge-003", "deployed"),
        ("and 27 more", "deployed"),
        ("19 hosts", "waiting"),
    ]


STATES = st.lists(st.sampled_from(State), min_size=1, max_size=80)


@given(STATES, st.integers(1, 30))
def test_a_view_has_a_place_for_every_host_and_no_more_rows_than_there_is_room(states: list[State], most: int) -> None:
    wave = Wave(1, tuple(f"h{number}" for number in range(len(states))))
    found = {name: Result(name, state) for name, state in zip(wave.members, states, strict=True)}
    rows = wave_rows(wave, found, most)
    assert len(rows) <= max(most, len(set(states))) and all(len(row) == len(COLUMNS) for row in rows)
    shown = 0
    for row in rows:
        words = row[0].split()
        shown += 1 if row[0] in found else int(words[1] if words[0] == "and" else words[0])
    assert shown == len(states)
    assert sum(counts_of(wave.members, found).values()) == len(states)


def test_a_row_holds_the_figure_with_its_error_bar_and_nothing_where_nothing_is_known() -> None:
    assert host_row(well("a", 3056, verdict="PASS", board="licheerv")) == (
        "a",
        "deployed",
        "licheerv",
        "3,056 ± 8 KiB",
        "4.0 s",
        "PASS",
    )
    assert host_row(Result("b\x1b[2J", State.WAITING)) == ("b\\x1b[2J", "waiting", "", "", "", "")


def test_the_final_table_has_outliers_first_then_what_went_wrong_then_the_largest() -> None:
    every = [well(f"e{number}", 3000 + number) for number in range(6)]
    every += [well("huge", 9000), well("dark", None), Result("bad", State.FAILED), Result("gone", State.UNREACHABLE)]
    rows = final_rows(every, spread_of(every))
    assert [row[0] for row in rows] == ["huge", "bad", "gone", "dark", "e5", "e4", "e3", "e2", "e1", "e0"]
    assert rows[0][-1] == "5,997 KiB above 3,003 KiB, the median of 7 hosts"


def test_a_histogram_has_a_line_a_bin_and_a_block_for_whoever_is_there() -> None:
    every = [well(f"e{number}", kib) for number, kib in enumerate([3000] * 90 + [3010] * 30 + [3020])]
    assert histogram_lines(spread_of(every), width=9) == [
        "3,000 to 3,009 KiB  █████████ 90",
        "3,010 to 3,019 KiB  ███ 30",
        "3,020 to 3,029 KiB  █ 1",
    ]
    assert histogram_lines(spread_of([])) == []


def test_figures_of_the_fleet_are_named_and_those_not_measured_are_counted() -> None:
    assert spread_rows(spread_of([well("a"), well("b", None), well("c", 3100)])) == [
        ("measured", "2 hosts"),
        ("not measured", "1 host"),
        ("smallest", "3,000 KiB"),
        ("median", "3,000 KiB"),
        ("p95 (nearest rank)", "3,100 KiB"),
        ("largest", "3,100 KiB"),
        ("mean", "3,050 KiB"),
    ]
    assert spread_rows(spread_of([well("b", None)])) == [("measured", "no host"), ("not measured", "1 host")]


def test_the_document_has_every_host_and_is_json() -> None:
    found = CANARY | results(Result(NAMES[1], State.FAILED, 2, problem="full", document={"error": "full"}, exit_code=4))
    missed = (Missed("max-rss<=5MiB", "max-rss<=5MiB: …", ("edge-000",)),)
    document = fleet_document(
        ROLLOUT, found, spread_of(list(found.values())), missed=missed, exit_code=4, seconds=1.23456
    )
    assert json.loads(json.dumps(document)) == document
    assert [host["member"] for host in document["hosts"]] == list(NAMES)
    assert document["hosts"][1]["document"] == {"error": "full"}
    assert (document["hosts"][50]["state"], document["hosts"][50]["wave"]) == ("waiting", 2)
    assert document["counts"] | {"x": 0} == {state.value: 0 for state in State} | {
        "deployed": 1,
        "failed": 1,
        "waiting": 49,
        "x": 0,
    }
    assert [(problem["sentence"], problem["hosts"]) for problem in document["problems"]] == [("full", ["edge-001"])]
    assert (document["exit_code"], document["seconds"], document["phase"]) == (4, 1.235, "running")
    assert document["spread"]["max_kib"] == 3000 and document["missed"][0]["hosts"] == ["edge-000"]
    assert fleet_document(ROLLOUT, {}, spread_of([]))["spread"] is None


def test_sums_and_spans_are_for_people() -> None:
    assert totals_line({State.DEPLOYED: 1000, State.FAILED: 0}) == "1,000 hosts: 1,000 deployed"
    assert totals_line({}) == "0 hosts"
    assert [show_span(seconds) for seconds in (41.6, 250, 7500)] == ["42 s", "4 min 10 s", "2 h 5 min"]
