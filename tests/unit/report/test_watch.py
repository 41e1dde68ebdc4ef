"""How a watch looks: bounded by the terminal, its gaps and restarts in sight, nothing of a board's in control."""

from __future__ import annotations

import json

import pytest

from deploy.memory.tally import Tally
from deploy.model.reading import Process
from deploy.model.watching import Back, Cost, Counted, Event, Glimpse, Gone, Lost, Seen, Trying
from deploy.report.watch import GAP, RESTART, View, event_document, event_line, summary_document, summary_rows


def seen(rss: int, at: float = 0.0, restarts: int = 0, pss: int | None = None) -> Seen:
    glimpse = Glimpse(at, Process(7, 70 + restarts), "S", rss, rss + 9, rss - 500, 500, 0, 0, pss, 5, 3)
    return Seen(1_760_000_000 + at, glimpse, restarts, 1.25)


def view_of(*events: Event, width: int = 60, height: int = 20) -> list[str]:
    view, tally = View("the gateway"), Tally()
    for event in events:
        tally.tell(event)
        view.tell(event)
    return view.lines(width, height, tally)


@pytest.mark.parametrize(("width", "height"), [(40, 10), (79, 24), (200, 60), (20, 5)])
def test_the_view_fits_the_terminal(width: int, height: int) -> None:
    many = [seen(2000 + at % 300, float(at)) for at in range(9000)]
    shown = view_of(*many, Lost(1_760_009_000, "x" * 300), width=width, height=height)
    assert len(shown) <= height and max(map(len, shown)) <= width


def test_the_curve_has_a_high_and_a_low_end_and_is_as_high_as_its_figure() -> None:
    shown = view_of(seen(1000), seen(3000), seen(1000), height=12)
    chart = [line for line in shown if "█" in line or "▁" in line]
    assert chart[0].startswith("      3,000") and "█" in chart[0]
    assert chart[-1].strip().startswith("1,000")
    columns = list(zip(*(line.ljust(60)[12:15] for line in chart), strict=True))
    assert ["".join(column).count("█") for column in columns] == [0, len(chart), 0]


def test_a_curve_that_stands_still_is_flat_and_not_noise() -> None:
    chart = [
        line[12:] for line in view_of(*[seen(2000 + 4 * (at % 2)) for at in range(30)]) if "▄" in line or "█" in line
    ]
    heights = {"".join(column).count("█") for column in zip(*(line[:30] for line in chart), strict=True)}
    assert max(heights) - min(heights) <= 1


def test_a_gap_and_a_restart_are_marked_even_when_many_samples_share_a_column() -> None:
    events: list[Event] = [seen(2000, float(at)) for at in range(1000)]
    events += [Lost(1_760_001_000, "gone"), Back(1_760_001_060, 60)]
    events += [seen(2000, 1060.0 + at) for at in range(1000)]
    events += [seen(2000, 2060.0 + at, restarts=1) for at in range(2000)]
    marks = next(line for line in view_of(*events) if line.strip() and set(line) <= {RESTART, GAP, " "})
    assert marks.count(RESTART) == 1 and marks.count(GAP) == 1


def test_the_present_figures_stand_above_the_curve() -> None:
    counted = Counted(1_760_000_001, 12, 51, 50, 0, 99)
    head = "\n".join(view_of(seen(2000, pss=1900), counted, seen(2100, 1.0), width=120)[:3])
    for wanted in ("VmRSS 2,100", "PSS 1,900", "RssAnon 1,600", "RssFile 500", "VmSwap 0", "VmHWM 2,109", "CPU 1.2 %"):
        assert wanted in head
    assert "messages 51 in, 50 out" in head and "GC 12" in head


def test_it_says_that_the_link_is_gone_and_when_it_tries_again() -> None:
    shown = view_of(seen(2000), Lost(1_760_000_001, "no\x1b[2J answer"), Trying(1_760_000_002, 8.0, "no route"))
    assert shown[-1] == "no route; trying again in 8 s"
    assert view_of(seen(2000), Lost(1_760_000_001, "no\x1b[2J answer"))[-1] == r"the link has dropped: no\x1b[2J answer"
    assert view_of(seen(2000), Lost(1_760_000_001, "x"), Back(1_760_000_003, 2), seen(2000, 4.0))[-1] == ""


def test_a_kernel_without_the_newer_figures() -> None:
    bare = Seen(1.0, Glimpse(1.0, Process(7, 70), "S", 2000, None, None, None, None, None, None, 1, 0), 0, None)
    assert "VmRSS 2,000  PSS -  RssAnon -" in view_of(bare, width=100)[1]
    assert "VmRSS 2,000 KiB  PID 7" in event_line(bare)
    assert event_document(bare)["rss_anon_kib"] is None


@pytest.mark.parametrize(
    "event",
    [seen(2000), Gone(1.0), Counted(1.0, 1, 2, 3, 4, 5), Lost(1.0, "x"), Trying(1.0, 2.0, "x"), Back(1.0, 2.0),
     Cost(1.0, 2, 3, None)],
    ids=lambda event: type(event).__name__,
)  # fmt: skip
def test_every_event_is_one_json_line(event: Event) -> None:
    line = json.dumps(event_document(event))
    found = json.loads(line)
    assert "\n" not in line and found["event"] == type(event).__name__.lower()
    assert found["taken_at"].endswith("Z")


def test_the_summary_tells_the_gaps_and_what_the_watch_took() -> None:
    events = [
        seen(2000),
        seen(2600, 1.0),
        Lost(1_760_000_002, "x"),
        Back(1_760_000_062, 61.0),
        Cost(1_760_000_063, 20, 30, 900),
    ]
    tally = Tally().all(events)
    rows = dict(summary_rows(tally))
    assert rows["VmRSS"] == "least 2,000, median 2,000, most 2,600 KiB"
    assert rows["gaps"] == "1, 61 s in all"
    assert rows["the watch itself"] == "1.5 ms of the board's CPU a sample; its sh: 900 KiB at most"
    assert summary_document(tally)["median_rss_kib"] == 2000
    empty = summary_document(Tally())
    assert empty["samples"] == 0 and empty["least_rss_kib"] is None and summary_rows(Tally())
