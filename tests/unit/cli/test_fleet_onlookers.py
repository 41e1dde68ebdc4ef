"""What people see of a rollout while it goes: a line a host, or on a terminal the wave as a table."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.cli.fleet.onlookers import PlainLines, View, columns
from deploy.model.rollout import Missed, Phase, Policy, Result, Rollout, State, Wave

WAVES = (Wave(1, ("a",)), Wave(2, tuple(f"edge-{number:02}" for number in range(30))))
ROLLOUT = Rollout("20261128-101112-abcd", "", Phase.RUNNING, Policy(("1", "rest"), at_once=4), "fleet.toml", {}, WAVES)
WELL = Result("a", State.DEPLOYED, 1, verdict="PASS", rss_kib=2348, rss_error_kib=0, seconds=3.25)


def test_each_host_is_one_line_and_is_counted_once() -> None:
    said: list[str] = []
    lines = PlainLines(said.append, ROLLOUT, set())
    lines.wave(WAVES[0], 1)
    lines.began("a")
    lines.ended(WELL)
    lines.missed(WAVES[0], [Missed("max-rss<=1MiB", "max-rss<=1MiB: it is 2,348 KiB")])
    lines.ended(Result("a", State.ROLLED_BACK, 1, seconds=1.0))
    lines.waits(60.0)
    lines.waits(59.5)
    lines.wave(Wave(0, ("a",)), 1)
    assert said == [
        "wave 1 of 2: 1 host",
        " 1/31  a  deployed  PASS  2,348 KiB  3.2 s",
        "missed: max-rss<=1MiB: it is 2,348 KiB",
        " 1/31  a  rolled back  1.0 s",
        "waiting 60 s before the next wave",
        "once more: 1 host out of reach",
    ]


class Terminal:
    """80 columns, 12 lines; what was drawn last."""

    def __init__(self) -> None:
        self.drawn: list[list[str]] = []
        self.now_s = 0.0

    def draw(self, lines: Sequence[str]) -> None:
        self.drawn.append(list(lines))

    def view(self) -> View:
        return View(self.draw, lambda: (79, 11), ROLLOUT, {}, lambda: self.now_s)


def test_the_view_fits_its_terminal_and_shows_who_is_under_way_first() -> None:
    terminal = Terminal()
    view = terminal.view()
    view.wave(WAVES[0], 1)
    view.began("a")
    view.ended(WELL)
    view.wave(WAVES[1], 30)
    for name in WAVES[1].members[:4]:
        view.began(name)
        terminal.now_s += 1.0
    view.ended(Result("edge-00", State.FAILED, 2, problem="no space", seconds=2.0))
    terminal.now_s += 1.0
    view.began("edge-04")
    shown = terminal.drawn[-1]
    assert len(shown) <= 12 and all(len(line) <= 79 for line in shown)
    assert shown[0].startswith("wave 2 of 2: 1 of 30 done; about ") and "31 hosts: " in shown[0]
    assert "under way" in shown[3] and any("edge-00" in line and "failed" in line for line in shown)
    assert any(line.startswith("and ") for line in shown), "the rest is counted"


def test_a_thousand_events_in_a_moment_are_not_drawn_a_thousand_times_but_the_last_one_is() -> None:
    terminal = Terminal()
    view = terminal.view()
    view.wave(WAVES[1], 30)
    for name in WAVES[1].members:
        view.began(name)
        view.ended(Result(name, State.UNCHANGED, 2, seconds=1.0))
    assert len(terminal.drawn) < 5
    assert "30 of 30 done" in terminal.drawn[-1][0] or "30 unchanged" in terminal.drawn[-1][0]


def test_a_remark_stays_under_the_wave_that_it_is_about() -> None:
    terminal = Terminal()
    view = terminal.view()
    view.wave(WAVES[0], 1)
    view.missed(WAVES[0], [Missed("max-fail 0", "1 host has failed")])
    assert terminal.drawn[-1][-1] == "missed: 1 host has failed"
    view.wave(WAVES[1], 30)
    assert terminal.drawn[-1][-1] == ""


def test_what_a_host_says_does_not_steer_the_terminal() -> None:
    assert "\x1b" not in "".join(columns([("a\x1b[2J", "b"), ("c", "d")]))
