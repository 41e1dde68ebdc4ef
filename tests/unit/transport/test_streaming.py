"""Lines of a script that still runs: whole, bounded, in time; and a script that is closed is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from seats import alive, eventually

from deploy.errors import BadAnswer, ConnectionLost, DeadlineExceeded
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script
from deploy.transport.scripted import ScriptedTransport
from deploy.transport.streaming import MOST_LINE_BYTES, lines


def pieces(*given: bytes) -> Callable[[float], bytes]:
    left = [*given, b""]
    return lambda seconds: left.pop(0)


def test_lines_come_whole_however_they_travelled() -> None:
    assert list(lines(pieces(b"on", b"e\ntwo\n\nthr", b"ee\n"), 5, "x", "h")) == [b"one", b"two", b"", b"three"]


def test_a_line_that_is_cut_short_is_not_told() -> None:
    assert list(lines(pieces(b"one\nVmRSS 12"), 5, "x", "h")) == [b"one"]


@pytest.mark.parametrize("flood", [b"x" * (MOST_LINE_BYTES + 1), b"x" * (MOST_LINE_BYTES + 1) + b"\n"])
def test_a_line_without_an_end_is_no_answer(flood: bytes) -> None:
    with pytest.raises(BadAnswer, match="a line of more than 4096 bytes"):
        list(lines(pieces(b"good\n", flood), 5, "x", "h"))


def test_a_board_that_trickles_and_never_ends_a_line_is_too_late() -> None:
    now = [0.0]

    def trickle(seconds: float) -> bytes:
        if seconds <= 1:
            raise TimeoutError
        now[0] += 1
        return b"x"

    with pytest.raises(DeadlineExceeded, match="nothing came for 5 s"):
        list(lines(trickle, 5, "watch", "h", clock=lambda: now[0]))


def test_the_time_between_two_lines_counts_from_when_the_last_one_was_taken() -> None:
    now, asked = [0.0], list[float]()

    def slow(seconds: float) -> bytes:
        asked.append(seconds)
        return b"line\n" if len(asked) < 3 else b""

    for _ in lines(slow, 5, "watch", "h", clock=lambda: now[0]):
        now[0] += 100  # the reader does something else meanwhile
    assert asked == [5, 5, 5]


def test_a_local_script_is_read_while_it_runs_and_gone_at_the_end(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = Script("count", f"echo $$ >{note}; echo to the other side >&2; while :; do echo tick; sleep 0.05; done")
    transport = LocalTransport()
    with transport.stream(script, 5) as seen:
        assert [next(seen) for _ in range(3)] == [b"to the other side", b"tick", b"tick"]
        pid = int(note.read_text())
        assert alive(pid)
    eventually(lambda: not alive(pid))
    assert transport.round_trips == 1


def test_a_local_script_that_says_nothing_is_too_late() -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded), LocalTransport().stream(Script("wait", "sleep 20"), 0.2) as seen:
        next(seen)
    assert time.monotonic() - began < 5


def test_a_scripted_stream_may_break() -> None:
    transport = ScriptedTransport({}, streams=[lambda script: [b"one", ConnectionLost("gone", "h")]])
    with transport.stream(Script("x", ":"), 5) as seen:
        assert next(seen) == b"one"
        with pytest.raises(ConnectionLost):
            next(seen)
    with pytest.raises(AssertionError), transport.stream(Script("x", ":"), 5):
        pass
