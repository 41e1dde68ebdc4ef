"""The lock on a board, in real shells: one holds it, the others are told; nobody has to remove it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shells import BusyBoxTransport, DashTransport

from deploy.board_shell.lock import LOCKED_STATUS, Lock, clear, parse_holder
from deploy.model.layout import Layout
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Script

SAY = Script(title="say something", text="echo said\n", deadline_s=5)


@pytest.fixture(
    params=[
        "sh",
        pytest.param("dash", marks=pytest.mark.install_check),
        pytest.param("busybox", marks=pytest.mark.install_check),
    ]
)
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Script], Completed]:
    if request.param == "sh":
        return LocalTransport().run
    return (DashTransport() if request.param == "dash" else BusyBoxTransport(tmp_path / "applets")).run


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path / "a board's prefix"))


def held_by(layout: Layout) -> Path:
    return Path(layout.run, "lock")


Run = Callable[[Script], Completed]


def test_a_script_under_the_lock_runs_and_the_lock_stays_for_the_next_one(run: Run, layout: Layout) -> None:
    ours = Lock.of("me@here")
    for _ in range(2):
        ended = run(ours.held(layout, SAY))
        assert (ended.exit_status, ended.stdout) == (0, b"said\n"), ended.stderr
    assert held_by(layout).is_symlink()
    assert run(ours.release(layout)).exit_status == 0
    assert not Path(layout.prefix).exists()  # folders with nothing in them go too


def test_whoever_goes_on_with_a_purpose_holds_what_its_beginning_held(run: Run, layout: Layout) -> None:
    begun = Lock.of("me@here", "rollout-1 edge-7")
    assert run(begun.held(layout, SAY, keep_s=60)).exit_status == 0
    for purpose in ("", "rollout-2 edge-7", "rollout-1 edge-8"):
        assert run(Lock.of("me@here", purpose).held(layout, SAY)).exit_status == LOCKED_STATUS, purpose
    assert run(Lock.of("me@here", "rollout-1 edge-7").held(layout, SAY)).exit_status == 0
    assert run(begun.release(layout)).exit_status == 0


def test_another_deployment_is_told_who_holds_it_and_changes_nothing(run: Run, layout: Layout, tmp_path: Path) -> None:
    run(Lock.of("me@here").held(layout, SAY, keep_s=60))
    touch = Script(title="touch", text=f"touch '{tmp_path}/touched'\n", deadline_s=5)
    for script in (Lock.of("you@there").held(layout, touch), Lock.of("you@there").around(layout, touch)):
        refused = run(script)
        assert refused.exit_status == LOCKED_STATUS
        holder = parse_holder(refused.stdout)
        assert holder is not None
        assert holder.who == "me@here"
        assert 50 < holder.left_s <= 60
    assert not (tmp_path / "touched").exists()


def test_while_a_script_runs_the_lock_covers_its_deadline_and_then_only_what_was_asked(
    run: Run, layout: Layout
) -> None:
    script = Script(title="look", text=f'readlink "{held_by(layout)}"\n', deadline_s=500)
    until_s = int(run(Lock.of("me").held(layout, script, keep_s=7)).stdout.split(b":")[1])
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert 490 < until_s - uptime_s <= 508
    assert float(held_by(layout).readlink().name.split(":")[1]) - uptime_s <= 8


def test_a_script_that_fails_keeps_its_status_and_the_lock(run: Run, layout: Layout) -> None:
    ours = Lock.of("me")
    assert run(ours.held(layout, Script(title="fail", text="exit 5\n"))).exit_status == 5
    assert run(Lock.of("you").held(layout, SAY)).exit_status == LOCKED_STATUS
    assert run(ours.around(layout, Script(title="fail", text="exit 6\n"))).exit_status == 6
    assert run(Lock.of("you").held(layout, SAY)).exit_status == 0


@pytest.mark.parametrize(
    "stale", ["tok:1:BOOT:1:gone@x", "tok:999999999:another-boot:1:gone@x", "", "nonsense", "a:b:c:d:e:f", "::::"]
)
def test_a_lock_whose_time_is_over_or_that_is_none_holds_nobody_up(run: Run, layout: Layout, stale: str) -> None:
    Path(layout.run).mkdir(parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if stale:
        held_by(layout).symlink_to(stale.replace("BOOT", boot))
    ended = run(Lock.of("me@here").held(layout, SAY))
    assert (ended.exit_status, ended.stdout) == (0, b"said\n"), ended.stderr
    assert held_by(layout).readlink().name.endswith(":me@here")


def test_of_many_at_once_one_gets_it(run: Run, layout: Layout) -> None:
    ended: list[Completed] = []
    threads = [
        threading.Thread(target=lambda who=f"n{n}": ended.append(run(Lock.of(who).held(layout, SAY)))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.exit_status for each in ended) == [0] + [LOCKED_STATUS] * 7


def test_a_prefix_that_takes_no_lock_says_why_and_nothing_hangs(run: Run, layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run(Lock.of("me").held(Layout(str(tmp_path / "file" / "prefix")), SAY))
    assert ended.exit_status == 73
    assert b"said" not in ended.stdout
    assert ended.stderr
    Path(layout.run).mkdir(parents=True)
    held_by(layout).mkdir()  # no symbolic link can take its place
    (held_by(layout) / "full").mkdir()
    assert run(Lock.of("me").held(layout, SAY)).exit_status in (0, 73)


def test_it_can_be_cleared_by_hand(run: Run, layout: Layout) -> None:
    run(Lock.of("me").held(layout, SAY))
    assert run(clear([layout])).exit_status == 0
    assert run(Lock.of("you").held(layout, SAY)).exit_status == 0


def test_only_the_holder_drops_it(run: Run, layout: Layout) -> None:
    run(Lock.of("me").held(layout, SAY))
    run(Lock.of("you").release(layout))
    assert held_by(layout).is_symlink()


@given(st.text())
def test_who_holds_it_is_plain_text_whatever_the_user_is_called(name: str) -> None:
    who = Lock.of(name).who
    assert who
    assert all(each.isascii() and (each.isalnum() or each in "._@-") for each in who)


@given(st.binary(max_size=300))
def test_whatever_a_board_prints_is_a_holder_or_none(printed: bytes) -> None:
    holder = parse_holder(printed)
    assert holder is None or "\x1b" not in holder.who


def test_a_holder_with_a_strange_name_is_shown_plainly() -> None:
    holder = parse_holder(b"motd\nlocked 12 34 a\x1b[2Jb\n")
    assert holder is not None
    assert (holder.who, holder.since_s, holder.left_s) == ("a--2Jb", 12, 34)
