"""The sh supervisor, run for real: switched, killed, stopped, restored. Each test ends the processes it started."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from seats import Seat, alive, eventually
from shells import BusyBoxTransport

from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.service.detached import Detached
from deploy.service.face import CHANGED_MEANWHILE_STATUS
from deploy.steps.start import parse_pid_file
from deploy.transport.local import LocalTransport


@pytest.fixture(params=["sh", pytest.param("busybox", marks=pytest.mark.install_check)])
def seat(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Seat]:
    prefix = tmp_path / "a prefix with blanks, 'quotes' and $dollars"
    prefix.mkdir()
    transport = LocalTransport() if request.param == "sh" else BusyBoxTransport(tmp_path / "applets")
    seat = Seat(tmp_path, Detached(Layout(str(prefix)), Limits()), transport)
    yield seat
    seat.transport.run(seat.service.stop())


def test_a_switch_starts_the_release_with_its_config_under_its_limits(seat: Seat) -> None:
    seat.add_release("aaaa")
    staged = seat.stage('{"new": true}')
    process = parse_pid_file(seat.run(seat.service.switch("aaaa", before=None, staged=staged)).stdout)
    config = seat.service.layout.config
    eventually(lambda: seat.seen() == [f"started gateway --config {config} with 5MiB 20 1"])
    assert alive(process.pid)
    assert Path(config).read_text() == '{"new": true}'
    assert Path(seat.service.layout.current).resolve().name == "aaaa"
    assert not Path(config + ".next").exists()


def test_a_gateway_that_is_killed_is_started_again(seat: Seat) -> None:
    seat.add_release("aaaa")
    first = parse_pid_file(seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage())).stdout)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: (now := seat.pid_file()) is not None and now != first and alive(now.pid))


def test_a_config_fault_is_not_tried_again_and_again(seat: Seat) -> None:
    seat.add_release("aaaa")
    (seat.folder / "end-with").write_text("78")
    completed = seat.transport.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    log = Path(seat.service.layout.log_file)
    eventually(lambda: "is not started again" in log.read_text())
    assert completed.exit_status != 0 or seat.pid_file() is None
    assert len(seat.seen()) == 1
    eventually(lambda: not Path(seat.service.layout.supervisor_pid_file).exists())


def test_stop_lets_the_gateway_drain_and_leaves_neither_it_nor_its_supervisor(seat: Seat) -> None:
    seat.add_release("aaaa")
    process = parse_pid_file(seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage())).stdout)
    supervisor = parse_pid_file(Path(seat.service.layout.supervisor_pid_file).read_bytes())
    eventually(lambda: len(seat.seen()) == 1)
    seat.run(seat.service.stop())
    assert not alive(process.pid)
    assert not alive(supervisor.pid)
    assert seat.seen()[-1] == "drained"


def test_stop_never_touches_a_process_that_took_over_the_pid(seat: Seat) -> None:
    seat.add_release("aaaa")
    layout = seat.service.layout
    Path(layout.run).mkdir()
    ours = os.getpid()
    Path(layout.pid_file).write_text(f"{ours} 1\n")  # our PID with the start ticks of another process
    Path(layout.supervisor_pid_file).write_text(f"{ours} 1\n")
    seat.run(seat.service.stop())  # had it killed this PID, nobody would get here


def test_start_leaves_a_gateway_that_runs_alone(seat: Seat) -> None:
    seat.add_release("aaaa")
    process = parse_pid_file(seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage())).stdout)
    assert parse_pid_file(seat.run(seat.service.start()).stdout) == process


def test_start_leaves_one_supervisor_where_one_waits_before_it_starts_the_gateway_again(seat: Seat) -> None:
    seat.add_release("aaaa")
    (seat.folder / "end-with").write_text("1")
    seat.transport.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    log = Path(seat.service.layout.log_file)
    eventually(lambda: "started again in" in log.read_text() and seat.pid_file() is None)
    first = parse_pid_file(Path(seat.service.layout.supervisor_pid_file).read_bytes())
    (seat.folder / "end-with").unlink()
    seat.run(seat.service.start())
    second = parse_pid_file(Path(seat.service.layout.supervisor_pid_file).read_bytes())
    assert second != first
    assert not alive(first.pid)
    assert alive(second.pid)


def test_a_start_whose_pid_files_can_not_be_written_leaves_no_gateway_that_nobody_knows(seat: Seat) -> None:
    seat.add_release("aaaa")
    staged = seat.stage()
    for pid_file in (seat.service.layout.pid_file, seat.service.layout.supervisor_pid_file):
        Path(pid_file + ".new").mkdir()  # as good as a disk without space
    assert seat.transport.run(seat.service.switch("aaaa", before=None, staged=staged)).exit_status != 0
    assert not supervisors(seat)


def detached(seat: Seat) -> Detached:
    assert isinstance(seat.service, Detached)
    return seat.service


def supervisors(seat: Seat) -> list[int]:
    """The processes that run this prefix's supervisor, by their command lines."""
    path = os.fsencode(detached(seat).supervisor_path)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if path in (folder / "cmdline").read_bytes().split(b"\0") and alive(int(folder.name)):
                found.append(int(folder.name))
    return found


def test_links_that_are_right_already_are_not_written_again(seat: Seat) -> None:
    seat.add_release("aaaa")
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    link = Path(seat.service.layout.current)
    before = link.lstat().st_ino
    restored = seat.run(seat.service.restore("aaaa", previous=None, staged=[], was_running=True))
    assert link.lstat().st_ino == before
    assert alive(parse_pid_file(restored.stdout).pid)


def test_uninstall_ends_a_second_instance_whose_reading_broke_off(seat: Seat) -> None:
    seat.add_release("aaaa")
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    live = Detached(Layout(f"{seat.service.layout.run}/live"), Limits())
    Path(live.layout.prefix).mkdir()
    Path(live.layout.releases).symlink_to(seat.service.layout.releases)
    second = parse_pid_file(
        seat.run(live.stage([live.supervisor_path]))
        and seat.run(live.switch("aaaa", before=None, staged=[live.supervisor_path])).stdout
    )
    bench = Detached(Layout(f"{seat.service.layout.run}/bench-0a1b"), Limits())
    Path(bench.layout.prefix).mkdir()
    Path(bench.layout.releases).symlink_to(seat.service.layout.releases)
    seat.run(bench.stage([bench.supervisor_path]))
    third = parse_pid_file(seat.run(bench.switch("aaaa", before=None, staged=[bench.supervisor_path])).stdout)
    seat.run(seat.service.uninstall())
    assert not alive(second.pid) and not alive(third.pid)
    assert not Path(seat.service.layout.prefix).exists()


def test_one_that_shall_not_last_ends_by_itself_and_leaves_no_process_and_no_file(seat: Seat) -> None:
    seat.add_release("aaaa")
    seat.service = replace(detached(seat), lasts_s=1)
    process = parse_pid_file(seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage())).stdout)
    eventually(lambda: not alive(process.pid) and not supervisors(seat))
    eventually(lambda: not Path(seat.service.layout.prefix).exists())
    seat.add_release("aaaa")
    seat.service = replace(detached(seat), lasts_s=1000)
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    seat.run(seat.service.stop())
    eventually(lambda: not supervisors(seat))


def test_the_release_before_becomes_previous_and_comes_back_with_its_config_on_restore(seat: Seat) -> None:
    seat.add_release("aaaa")
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage("old")))
    seat.add_release("bbbb")
    staged = seat.stage("new")
    seat.run(seat.service.switch("bbbb", before="aaaa", staged=staged))
    layout = seat.service.layout
    assert str(Path(layout.current).readlink()) == "releases/bbbb"
    assert str(Path(layout.previous).readlink()) == "releases/aaaa"
    assert Path(layout.config).read_text() == "new"
    restored = seat.run(seat.service.restore("aaaa", previous=None, staged=staged, was_running=True))
    assert str(Path(layout.current).readlink()) == "releases/aaaa"
    assert not Path(layout.previous).is_symlink()
    assert Path(layout.config).read_text() == "old"
    assert alive(parse_pid_file(restored.stdout).pid)


def test_a_switch_of_a_board_that_another_deployment_has_switched_meanwhile_changes_nothing(seat: Seat) -> None:
    for release_id in ("aaaa", "bbbb", "cccc"):
        seat.add_release(release_id)
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    theirs = parse_pid_file(seat.run(seat.service.switch("bbbb", before="aaaa", staged=[])).stdout)
    for before in ("aaaa", None):
        ours = seat.transport.run(seat.service.switch("cccc", before=before, staged=[]))
        assert ours.exit_status == CHANGED_MEANWHILE_STATUS
    assert alive(theirs.pid)
    assert str(Path(seat.service.layout.current).readlink()) == "releases/bbbb"


def test_restore_before_the_switch_touched_anything_keeps_the_files_in_use(seat: Seat) -> None:
    seat.add_release("aaaa")
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage("first")))
    seat.run(seat.service.switch("aaaa", before="aaaa", staged=seat.stage("second")))
    staged = seat.stage("third")  # waits, and was never put in place
    seat.run(seat.service.restore("aaaa", previous=None, staged=staged, was_running=True))
    assert Path(seat.service.layout.config).read_text() == "second"


def test_restore_after_a_first_deployment_leaves_nothing_running(seat: Seat) -> None:
    seat.add_release("aaaa")
    staged = seat.stage()
    process = parse_pid_file(seat.run(seat.service.switch("aaaa", before=None, staged=staged)).stdout)
    seat.run(seat.service.restore(None, previous=None, staged=staged, was_running=False))
    assert not alive(process.pid)
    assert not Path(seat.service.layout.current).is_symlink()
    assert not Path(seat.service.layout.config).exists()


def test_uninstall_removes_what_a_deployment_put_there_and_nothing_else(seat: Seat) -> None:
    seat.add_release("aaaa")
    process = parse_pid_file(seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage())).stdout)
    prefix = Path(seat.service.layout.prefix)
    (prefix / "notes.txt").write_text("the user's own")
    (prefix / "run" / "launch").write_text("of the service manager that kept it before")
    seat.run(seat.service.uninstall())
    assert not alive(process.pid)
    assert [path.name for path in prefix.iterdir()] == ["notes.txt"]
    # Where a prefix was badly chosen, what else lies in folders of these names is not ours to remove.
    for other in ("log/syslog", "run/other.pid", "releases/mine/file"):
        (prefix / other).parent.mkdir(parents=True, exist_ok=True)
        (prefix / other).write_text("somebody else's")
    seat.run(seat.service.uninstall())
    left = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "log/syslog", "run/other.pid", "releases/mine/file"}
    shutil.rmtree(prefix)
    seat.run(seat.service.uninstall())
    assert not prefix.exists()
