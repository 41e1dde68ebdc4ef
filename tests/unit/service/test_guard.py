"""The guard on a board, for real: it acts when it hears nothing, and keeps still when it is told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from seats import Seat, alive, eventually
from shells import BusyBoxTransport

from deploy.board_shell.lock import Lock
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.service.detached import Detached
from deploy.service.guard import GUARD_UNREADY_STATUS, PUT_BACK_STATUS, arm, commit, guard_path
from deploy.steps.start import parse_pid_file
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script


@dataclass
class Guarded:
    """A seat on which aaaa runs, and a switch to bbbb under a guard."""

    seat: Seat
    lock: Lock
    staged: list[str]

    def switch(self, after_s: int) -> Script:
        service = self.seat.service
        putting_back = service.preamble() + service.putting_back(
            "aaaa", previous=None, staged=self.staged, was_running=True
        )
        guard = arm(service.layout, putting_back, after_s, f"{self.lock.functions(service.layout)}drop_lock")
        script = service.switch("bbbb", before="aaaa", staged=self.staged, guard=guard)
        return self.lock.held(service.layout, script)

    def current(self) -> str:
        return Path(self.seat.service.layout.current).resolve().name

    def config(self) -> str:
        return Path(self.seat.service.layout.config).read_text()


@pytest.fixture(params=["sh", pytest.param("busybox", marks=pytest.mark.install_check)])
def guarded(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Guarded]:
    prefix = tmp_path / "a prefix with blanks, 'quotes' and $dollars"
    prefix.mkdir()
    transport = LocalTransport() if request.param == "sh" else BusyBoxTransport(tmp_path / "applets")
    seat = Seat(tmp_path, Detached(Layout(str(prefix)), Limits()), transport)
    for release_id in ("aaaa", "bbbb"):
        seat.add_release(release_id)
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage('"old"')))
    yield Guarded(seat, Lock.of("me"), seat.stage('"new"'))
    guard = guard_path(seat.service.layout)
    Path(guard).unlink(missing_ok=True)
    eventually(lambda: not Path(f"{guard}.now").exists(), 30)  # it must not start what has just been stopped
    seat.transport.run(seat.service.stop())


def test_a_guard_that_hears_nothing_puts_back_what_ran_before(guarded: Guarded) -> None:
    seat = guarded.seat
    new = parse_pid_file(seat.run(guarded.switch(1)).stdout)
    assert (guarded.current(), guarded.config()) == ("bbbb", '"new"')
    eventually(lambda: Path(guard_path(seat.service.layout) + ".done").exists(), 20)
    assert (guarded.current(), guarded.config()) == ("aaaa", '"old"')
    assert not alive(new.pid)
    back = seat.pid_file()
    assert back is not None
    assert alive(back.pid)
    assert "what ran before is put back" in Path(seat.service.layout.log_file).read_text()
    assert not Path(seat.service.layout.run, "lock").is_symlink()
    # The controller is back, and does not know: it is told, and putting back once more changes nothing.
    assert seat.transport.run(commit(seat.service.layout, ["aaaa"])).exit_status == PUT_BACK_STATUS
    restored = seat.run(seat.service.restore("aaaa", previous=None, staged=guarded.staged, was_running=True))
    assert parse_pid_file(restored.stdout) == back
    assert (guarded.current(), guarded.config()) == ("aaaa", '"old"')


def test_a_guard_that_was_stood_down_does_nothing(guarded: Guarded) -> None:
    seat, layout = guarded.seat, guarded.seat.service.layout
    new = parse_pid_file(seat.run(guarded.switch(6)).stdout)
    ended = seat.run(guarded.lock.held(layout, commit(layout, ["0bad"])))
    assert ended.stdout == b""
    assert not [each for each in Path(layout.run).iterdir() if each.name.startswith(("guard", "lock"))]
    time.sleep(7)
    assert (guarded.current(), guarded.config()) == ("bbbb", '"new"')
    assert alive(new.pid)


def test_a_controller_that_puts_back_takes_over_from_the_guard(guarded: Guarded) -> None:
    seat = guarded.seat
    seat.run(guarded.switch(6))
    seat.run(seat.service.restore("aaaa", previous=None, staged=guarded.staged, was_running=True))
    back = seat.pid_file()
    time.sleep(7)
    assert seat.pid_file() == back
    assert (guarded.current(), guarded.config()) == ("aaaa", '"old"')
    assert "guard:" not in Path(seat.service.layout.log_file).read_text()


def test_without_a_guard_nothing_is_stopped(guarded: Guarded) -> None:
    seat = guarded.seat
    running = seat.pid_file()
    Path(guard_path(seat.service.layout) + ".part").mkdir()  # its text can't be written
    assert seat.transport.run(guarded.switch(60)).exit_status == GUARD_UNREADY_STATUS
    assert seat.pid_file() == running
    assert (guarded.current(), guarded.config()) == ("aaaa", '"old"')


def test_what_a_release_ran_with_stays_beside_it(guarded: Guarded) -> None:
    seat, layout = guarded.seat, guarded.seat.service.layout
    seat.run(guarded.switch(60))
    kept = Path(layout.release("aaaa"), "with")
    assert (kept / "config.json").read_text() == '"old"'
    assert {each.name for each in kept.iterdir()} == {"config.json", "supervise", "manager"}
    assert kept.stat().st_mode & 0o077 == 0
    seat.run(seat.service.uninstall())
    assert not Path(layout.prefix).exists()
