"""A watch over hours: restarts, drops of the link, boards that babble; told with a clock of the test's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import pytest
from metrics_answer import ANSWER

from deploy.errors import (
    AuthenticationRefused,
    BadAnswer,
    ConnectionLost,
    DeadlineExceeded,
    ForwardRefused,
    NotMeasured,
    Unreachable,
)
from deploy.memory.tally import Tally
from deploy.memory.watch import LATE_S, Watched, watch
from deploy.model.layout import Layout
from deploy.model.watching import Back, Cost, Counted, Event, Gone, Lost, Seen, Trying
from deploy.transport.protocol import Script
from deploy.transport.scripted import ScriptedTransport

LAYOUT = Layout("/opt/picoclaw")
LOST = ConnectionLost("the link broke", "h")


class Time:
    """A clock that moves when somebody sleeps, and a second for each line."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def look(up: float, rss: int = 2000, pid: int = 7, start: int = 70, ticks: int = 0, pss: str = "-") -> str:
    return f"look {up:.2f} {pid} {start} S {ticks} 0 5 {rss} {rss + 100} 1500 500 0 0 {pss}"


def mark_of(script: Script) -> str:
    found = re.search(r"^mark=(w[0-9a-f]{12})$", script.text, re.MULTILINE)
    assert found
    return found[1]


def prints(time: Time, *lines: str | Exception) -> Callable[[Script], Iterable[bytes | Exception]]:
    def printed(script: Script) -> Iterator[bytes | Exception]:
        for line in lines:
            time.now += 1
            yield line if isinstance(line, Exception) else f"{mark_of(script)} {line}".encode()

    return printed


def events(
    time: Time,
    first: ScriptedTransport,
    *later: ScriptedTransport | Exception,
    watched: Watched | None = None,
) -> list[Event]:
    left = list(later)

    def connect() -> ScriptedTransport:
        if not left:
            raise AuthenticationRefused("enough", "h")
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    told: list[Event] = []
    try:
        for event in watch(
            first, watched or Watched(LAYOUT, lasts_s=10_000), connect, clock=time, wall=time, sleep=time.sleep
        ):
            told.append(event)
    except AuthenticationRefused as end:
        assert "enough" in end.problem
    return told


def kinds(told: list[Event]) -> list[str]:
    return [type(event).__name__ for event in told if not isinstance(event, Trying)]


def test_samples_come_as_they_are_and_cpu_is_over_the_last_ten() -> None:
    time = Time()
    board = ScriptedTransport({}, streams=[prints(time, look(10, ticks=0), look(12, ticks=50, pss="900"), "end")])
    told = events(time, board, watched=Watched(LAYOUT, lasts_s=2.5))
    assert kinds(told) == ["Seen", "Seen"]
    assert isinstance(told[0], Seen) and told[0].cpu_percent is None
    assert isinstance(told[1], Seen) and told[1].cpu_percent == pytest.approx(25.0)
    assert told[1].glimpse.pss_kib == 900 and told[1].restarts == 0


def test_a_restart_is_seen_and_its_cpu_is_not_held_against_the_old_ones() -> None:
    time = Time()
    lines = (
        look(10, ticks=500),
        "gone",
        "gone",
        look(13, pid=8, start=90, ticks=1),
        look(14, pid=8, start=90, ticks=3),
    )
    told = events(time, ScriptedTransport({}, streams=[prints(time, *lines, LOST)]))
    assert kinds(told) == ["Seen", "Gone", "Seen", "Seen", "Lost"]
    after = told[2:4]
    assert [each.restarts for each in after if isinstance(each, Seen)] == [1, 1]
    assert [each.cpu_percent for each in after if isinstance(each, Seen)] == [None, pytest.approx(2.0)]


def test_the_same_pid_with_another_start_is_a_restart_too() -> None:
    time = Time()
    told = events(time, ScriptedTransport({}, streams=[prints(time, look(10), look(11, start=99), LOST)]))
    assert isinstance(told[1], Seen) and told[1].restarts == 1


def test_a_reboot_sets_the_boards_clock_back_and_nothing_divides_by_it() -> None:
    time = Time()
    told = events(
        time, ScriptedTransport({}, streams=[prints(time, look(5000), look(20, start=5), look(20, start=5), LOST)])
    )
    assert [each.cpu_percent for each in told if isinstance(each, Seen)] == [None, None, None]


def test_a_drop_is_told_once_and_the_gap_is_from_sample_to_sample() -> None:
    time = Time()
    first = ScriptedTransport({}, streams=[prints(time, look(10), LOST)])
    second = ScriptedTransport({}, streams=[prints(time, look(50), LOST)])
    told = events(time, first, Unreachable("no route", "h"), Unreachable("no route", "h"), second)
    assert kinds(told) == ["Seen", "Lost", "Back", "Seen", "Lost"]
    assert [event.again_in_s for event in told if isinstance(event, Trying)] == [1, 2, 4, 1]
    back = next(event for event in told if isinstance(event, Back))
    seen = [event.taken_at for event in told if isinstance(event, Seen)]
    assert back.away_s == seen[1] - seen[0] == 1 + 1 + 2 + 4 + 1
    assert first._closed and second._closed


def test_the_pauses_grow_to_half_a_minute_also_where_the_link_comes_and_no_sample_does() -> None:
    time = Time()
    dead = [ScriptedTransport({}, streams=[prints(time, DeadlineExceeded("nothing came", "h"))]) for _ in range(7)]
    told = events(time, ScriptedTransport({}, streams=[prints(time, look(10), LOST)]), *dead)
    assert [event.again_in_s for event in told if isinstance(event, Trying)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert kinds(told) == ["Seen", "Lost"], "it is one drop"


def test_what_time_cannot_cure_ends_it() -> None:
    time = Time()
    board = ScriptedTransport({}, streams=[prints(time, look(10), LOST)])
    later = [AuthenticationRefused("the key is not taken", "h")]

    def connect() -> ScriptedTransport:
        raise later.pop()

    with pytest.raises(AuthenticationRefused):
        list(watch(board, Watched(LAYOUT), connect, clock=time, wall=time, sleep=time.sleep))


def test_a_loop_that_came_to_its_end_is_followed_by_the_next_on_the_same_connection() -> None:
    time = Time()
    streams = [prints(time, look(10), "end"), prints(time, look(11), "end"), prints(time, LOST)]
    board = ScriptedTransport({}, streams=streams)
    told = events(time, board)
    assert kinds(told) == ["Seen", "Seen", "Lost"]
    assert len({mark_of(script) for script in board.scripts}) == 3, "each loop has a mark of its own"
    assert "until_s=$((${up%%.*} + 3602))" in board.scripts[0].text


def test_a_loop_that_was_killed_is_a_drop() -> None:
    time = Time()
    told = events(time, ScriptedTransport({}, streams=[prints(time, look(10))]))
    assert kinds(told) == ["Seen", "Lost"]
    assert isinstance(told[1], Lost) and told[1].why == "what watches on the board was ended"


def test_a_board_that_babbles_is_not_listened_to_for_ever() -> None:
    time = Time()

    def babble(script: Script) -> Iterator[bytes]:
        yield f"{mark_of(script)} {look(10)}".encode()
        for _ in range(100):
            time.now += 1
            yield b"\x1b[31mkernel: something"
        raise AssertionError("it was listened to all the same")

    told = events(time, ScriptedTransport({}, streams=[babble]))
    assert kinds(told) == ["Seen", "Lost"]
    assert time.now == 1000 + 1 + LATE_S + 1 + 1, "the interval, the patience, one line more, and a pause"


def test_a_board_that_never_answered_ends_it_with_its_own_problem() -> None:
    time = Time()
    with pytest.raises(DeadlineExceeded):
        events(time, ScriptedTransport({}, streams=[prints(time, DeadlineExceeded("nothing came", "h"))]))
    with pytest.raises(BadAnswer, match="does not watch as it was asked to"):
        events(time, ScriptedTransport({}, streams=[lambda script: [b"Welcome!", b"sh: not found"]]))


def test_the_gateway_is_asked_now_and_then_and_left_alone_where_it_does_not_answer() -> None:
    time = Time()
    lines = [look(float(up)) for up in range(10, 110)]
    answers: list[bytes | Exception] = [ANSWER, ForwardRefused("nothing listens", "h"), b"nonsense", ANSWER]
    board = ScriptedTransport({}, streams=[prints(time, *lines, LOST)], requests=answers)
    told = events(time, board, watched=Watched(LAYOUT, health_port=8080, lasts_s=10_000))
    asked = [event.taken_at - 1000 for event in told if isinstance(event, Counted)]
    assert asked == [1], "15 s later nothing listens, a minute later nonsense, and then 100 s are over"
    assert len(board.requested) == 3
    counted = next(event for event in told if isinstance(event, Counted))
    assert (counted.inbound, counted.outbound, counted.gc_cycles) == (51, 50, 5)


def test_a_process_that_was_named_ends_the_watch_with_it() -> None:
    time = Time()
    board = ScriptedTransport({}, streams=[prints(time, look(10), "gone")])
    assert kinds(events(time, board, watched=Watched(LAYOUT, pid=7))) == ["Seen", "Gone"]


def test_a_process_that_was_named_and_never_was_is_not_measured() -> None:
    time = Time()
    with pytest.raises(NotMeasured, match="there is no process 7"):
        events(time, ScriptedTransport({}, streams=[prints(time, "gone")]), watched=Watched(LAYOUT, pid=7))


def test_after_a_drop_another_process_with_that_pid_is_not_taken_for_it() -> None:
    time = Time()
    first = ScriptedTransport({}, streams=[prints(time, look(10, start=70), LOST)])
    second = ScriptedTransport({}, streams=[prints(time, "gone")])
    events(time, first, second, watched=Watched(LAYOUT, pid=7))
    assert "pid=7 ticks=\n" in first.scripts[0].text
    assert "pid=7 ticks=70\n" in second.scripts[0].text


def test_its_time_bounds_also_the_waiting_for_a_link() -> None:
    time = Time()
    board = ScriptedTransport({}, streams=[prints(time, look(10), LOST)])
    away = [Unreachable("no route", "h") for _ in range(50)]
    told = events(time, board, *away, watched=Watched(LAYOUT, lasts_s=100))
    assert kinds(told) == ["Seen", "Lost"]
    assert time.now == 1100


def test_ctrl_c_closes_the_connection() -> None:
    time = Time()

    def interrupted(script: Script) -> Iterator[bytes]:
        yield f"{mark_of(script)} {look(10)}".encode()
        raise KeyboardInterrupt

    board = ScriptedTransport({}, streams=[interrupted])
    with pytest.raises(KeyboardInterrupt):
        events(time, board)
    assert board._closed


def test_the_sums_are_exact_and_a_median_is_a_figure_that_was_seen() -> None:
    time = Time()
    figures = (2000, 2100, 2100, 2600)
    lines = [look(10.0 + at, rss) for at, rss in enumerate(figures)]
    told = events(time, ScriptedTransport({}, streams=[prints(time, *lines, LOST)]))
    tally = Tally().all(told)
    assert (tally.samples, tally.least_kib, tally.median_kib, tally.most_kib) == (4, 2000, 2100, 2600)
    assert (tally.hwm_kib, tally.gaps, tally.restarts, tally.lasted_s) == (2700, 1, 0, 4)


def test_the_cost_of_several_loops_is_added_up() -> None:
    told: list[Event] = [Cost(1, 10, 20, 900), Cost(2, 20, 30, 950), Cost(3, 10, 15, 940), Cost(4, 20, 40, 940)]
    tally = Tally().all(told)
    assert (tally.cost_looks, tally.cost_ms, tally.cost_hwm_kib) == (40, 70, 950)
    assert tally.cost_ms_a_look == pytest.approx(1.75)
    assert Tally().cost_ms_a_look is None and Tally().median_kib is None


def test_a_gap_counts_as_time_away() -> None:
    tally = Tally().all([Lost(10, "x"), Back(25, 16), Gone(30)])
    assert (tally.gaps, tally.away_s, tally.absences, tally.lasted_s) == (1, 16, 1, 20)
