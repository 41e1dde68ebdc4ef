"""A watch over real SSH servers: the link is cut, or falls silent, and the gateway is killed; no loop is left behind.

What is killed here is this test's own: sessions of its own server, and a gateway in a folder of its own.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from seats import Seat, alive, eventually
from servers import Server, descendants

import deploy.memory.watch
from deploy.errors import BadAnswer
from deploy.memory.watch import Watched, watch
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.watching import Back, Event, Gone, Lost, Seen, Trying
from deploy.service.detached import Detached
from deploy.transport import ssh
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script

pytestmark = pytest.mark.install_check


@pytest.fixture
def seat(tmp_path: Path) -> Iterator[Seat]:
    """A gateway of this test's own, under the real supervisor."""
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    seat = Seat(tmp_path, Detached(Layout(str(prefix)), Limits()), LocalTransport())
    seat.add_release("aaaa")
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    yield seat
    seat.transport.run(seat.service.stop())


def loops(server: Server) -> list[int]:
    """The shells that watch: children of the server's sessions that read their script from standard input."""
    found = []
    for pid in descendants(server.process.pid)[1:]:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if alive(pid) else []
        if words[:1] == [b"sh"] and words[1:] in ([b""], []):
            found.append(pid)
    return found


def sessions(server: Server) -> list[int]:
    """The server's processes for connections, the listener not among them, and nothing that runs in them."""
    names = ("sshd", "sshd-session", "sshd-auth", "dropbear")
    listener = int((server.folder / f"{'sshd' if server.kind == 'OpenSSH' else 'dropbear'}.pid").read_text())
    return [
        pid
        for pid in descendants(server.process.pid)
        if pid not in (server.process.pid, listener) and Path(f"/proc/{pid}/comm").read_text().strip() in names
    ]


def told(
    server: Server, watched: Watched, until: Callable[[list[Event]], bool], act: Callable[[list[Event]], None]
) -> list[Event]:
    """The events until `until` holds; `act` is called after each of them."""
    events: list[Event] = []
    give_up = time.monotonic() + 30
    with closing(watch(ssh.connect(server.host), watched, lambda: ssh.connect(server.host))) as seen:
        for event in seen:
            events.append(event)
            act(events)
            if until(events):
                break
            assert time.monotonic() < give_up, [type(each).__name__ for each in events]
    return events


def seen_in(events: list[Event]) -> int:
    return sum(isinstance(event, Seen) for event in events)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_link_that_is_cut_comes_back_and_leaves_no_loop_on_the_board(
    real_server: Server, seat: Seat, how: signal.Signals
) -> None:
    watched = Watched(seat.service.layout, interval_s=0.2)
    old: list[int] = []

    def cut(events: list[Event]) -> None:
        if len(events) == 3:
            old.extend(loops(real_server))
            assert old, "the loop runs on the board"
            for pid in sessions(real_server):
                os.kill(pid, how)

    events = told(real_server, watched, lambda events: isinstance(events[-1], Seen) and seen_in(events) == 6, cut)
    kinds = [type(event) for event in events if not isinstance(event, Trying)]
    assert kinds == [Seen] * 3 + [Lost, Back] + [Seen] * 3
    back = next(event for event in events if isinstance(event, Back))
    assert 1 <= back.away_s < 10
    process = seat.pid_file()
    assert all(event.glimpse.process == process for event in events if isinstance(event, Seen))
    eventually(lambda: not any(alive(pid) for pid in old), within_s=3)
    eventually(lambda: not loops(real_server), within_s=3)


def test_a_link_that_falls_silent_is_taken_for_dropped(
    real_server: Server, seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy.memory.watch, "LATE_S", 1.0)
    stopped: list[int] = []

    def stop(events: list[Event]) -> None:
        if len(events) == 2:
            stopped.extend(sessions(real_server))
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)

    began = time.monotonic()
    try:
        events = told(
            real_server, Watched(seat.service.layout, interval_s=0.2), lambda events: seen_in(events) == 4, stop
        )
    finally:
        for pid in stopped:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
    lost = next(event for event in events if isinstance(event, Lost))
    assert "nothing came for 1.2 s" in lost.why
    assert time.monotonic() - began < 15


def test_a_gateway_that_is_killed_is_seen_again_with_its_new_pid(real_server: Server, seat: Seat) -> None:
    first = seat.pid_file()
    assert first is not None

    def kill(events: list[Event]) -> None:
        if len(events) == 2:
            os.kill(first.pid, signal.SIGKILL)

    def restarted(events: list[Event]) -> bool:
        return isinstance(events[-1], Seen) and events[-1].restarts == 1

    events = told(real_server, Watched(seat.service.layout, interval_s=0.2), restarted, kill)
    assert sum(isinstance(event, Gone) for event in events) == 1, "told once, for about five looks"
    last = events[-1]
    assert isinstance(last, Seen) and last.glimpse.process == seat.pid_file() != first


def test_its_end_leaves_no_loop_and_one_connection_served_all_of_it(real_server: Server, seat: Seat) -> None:
    transport = ssh.connect(real_server.host)
    watched = Watched(seat.service.layout, interval_s=0.2, lasts_s=1.5)
    events = list(watch(transport, watched, lambda: pytest.fail("nothing dropped")))
    assert 4 <= seen_in(events) <= 9 and not any(isinstance(event, Lost) for event in events)
    assert transport.round_trips == 1, "one channel for all samples"
    eventually(lambda: not loops(real_server), within_s=3)


def test_questions_may_be_asked_between_two_lines(real_server: Server) -> None:
    with closing(ssh.connect(real_server.host)) as transport:
        with transport.stream(Script("count", "while :; do echo tick; echo tock >&2; sleep 0.1; done"), 5) as lines:
            assert sorted([next(lines), next(lines)]) == [b"tick", b"tock"]
            assert transport.run(Script("ask", "echo answer")).stdout == b"answer\n"
            assert next(lines) in (b"tick", b"tock")
        assert transport.run(Script("ask", "echo again")).stdout == b"again\n", "the connection is as before"


def test_a_script_that_ends_ends_the_lines_and_a_flood_without_a_line_is_refused(real_server: Server) -> None:
    with closing(ssh.connect(real_server.host)) as transport:
        with transport.stream(Script("count", "echo one; echo two; printf three"), 5) as lines:
            assert list(lines) == [b"one", b"two"]
        flood = Script("flood", "while :; do printf 1234567890123456789012345678901234567890; done")
        with pytest.raises(BadAnswer), transport.stream(flood, 5) as lines:
            list(lines)
    eventually(lambda: not loops(real_server), within_s=5)


def test_a_flood_that_nobody_reads_stays_on_the_board(real_server: Server) -> None:
    with closing(ssh.connect(real_server.host)) as transport:
        script = Script("flood", "while :; do echo 12345678901234567890123456789012345678901234567890; done")
        with transport.stream(script, 5) as lines:
            next(lines)
            time.sleep(0.5)
            held = len(lines.gi_frame.f_locals["receive"].__closure__[0].cell_contents.in_buffer)  # type: ignore
            assert held <= 4 * 1024 * 1024
