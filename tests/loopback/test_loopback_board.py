"""A loopback board comes up once, tells what it is, survives being killed, and goes without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from login import logged_in, run, within

from deploy.emulator import keeper, loopback
from deploy.emulator.keeper import Keeper
from deploy.emulator.kept import KeptBoard
from deploy.emulator.processes import marked, runs, start_ticks
from deploy.errors import LoopbackFailed, UsageError
from deploy.folders import state_folder
from deploy.model.reading import Process

SPINOFF = "setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!"


def identified(pid: int) -> Process:
    ticks = start_ticks(pid)
    assert ticks is not None
    return Process(pid, ticks)


def files_left() -> list[Path]:
    return [path for path in state_folder().rglob("*") if not path.is_dir()]


def daemons(folder: Path) -> list[int]:
    """The processes whose command line names the folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(int(each.parent.name))
    return found


def test_it_comes_up_soon_and_a_second_up_finds_it(private_home: Path) -> None:
    begun = time.monotonic()
    first = loopback.up("local")
    print(f"up took {time.monotonic() - begun:.3f} s")  # noqa: T201 (shown with -s)
    try:
        assert loopback.up("local") == first == loopback.status("local")
        assert loopback.listing() == [first]
        assert (first.host.user, first.host.address, first.host.port) == (first.user, "127.0.0.1", first.port)
        assert first.base_url == f"https://127.0.0.1:{first.bot_api_port}"
        assert first.home.is_dir() and first.home.is_relative_to(state_folder())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", first.health_port))
    finally:
        loopback.down("local")


def test_two_ups_at_the_same_time_start_one_daemon(private_home: Path) -> None:
    found: list[KeptBoard] = []
    threads = [threading.Thread(target=lambda: found.append(loopback.up("local"))) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(found) == 4 and len(set(found)) == 1
        assert daemons(found[0].folder) == [found[0].daemon.pid]
    finally:
        loopback.down("local")


def test_all_it_keeps_is_closed_to_others(board: KeptBoard) -> None:
    assert stat.S_IMODE(board.folder.stat().st_mode) == 0o700
    for name in ("id_ed25519", "token", "control", "mark", "state.json"):
        assert stat.S_IMODE((board.folder / name).stat().st_mode) == 0o600, name
    command_line = Path(f"/proc/{board.daemon.pid}/cmdline").read_bytes()
    state = (board.folder / "state.json").read_bytes()
    for secret in (board.token().reveal(), (board.folder / "control").read_bytes()):
        assert secret not in command_line and secret not in state and secret not in repr(board).encode()


def test_another_sftp_setting_needs_a_down_first(board: KeptBoard) -> None:
    with pytest.raises(UsageError, match=r"with SFTP.*emulate\.down"):
        loopback.up("local", sftp=False)
    assert loopback.up("local", sftp=True) == board == loopback.up("local")
    assert loopback.down("local")
    without = loopback.up("local", sftp=False)
    assert without.sftp is False and loopback.up("local") == without
    with pytest.raises(UsageError, match="without SFTP"):
        loopback.up("local", sftp=True)


def test_down_leaves_no_process_and_no_file(board: KeptBoard) -> None:
    detached = identified(int(run(board, SPINOFF)))
    assert runs(detached), "a detached child outlives its session"
    mark = (board.folder / "mark").read_text()
    assert list(marked(mark)) == [detached]
    assert loopback.down("local") is True
    assert not runs(detached) and not runs(board.daemon) and not list(marked(mark))
    assert not files_left()
    assert loopback.down("local") is False
    assert (loopback.status("local"), loopback.listing()) == (None, [])


def test_down_finds_the_daemon_of_an_older_version_which_has_no_mark(
    board: KeptBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keeper, "daemon_mark", property(lambda self: "SLIMDEPLOY_NOT_YET_KNOWN"))
    assert loopback.down("local") is True
    assert not runs(board.daemon) and not files_left()


def test_down_also_ends_what_takes_no_term(board: KeptBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_DOWN_S", 0.3)
    stubborn = "setsid sh -c 'trap \"\" TERM; echo $$; exec >/dev/null 2>&1; while :; do sleep 1; done' </dev/null &"
    process = identified(int(run(board, stubborn)))
    assert loopback.down("local") is True
    assert not runs(process)


def test_a_killed_daemon_is_noticed_and_cleaned_up_after(board: KeptBoard) -> None:
    detached = identified(int(run(board, SPINOFF)))
    os.kill(board.daemon.pid, signal.SIGKILL)
    assert within(5, lambda: not runs(board.daemon))
    assert loopback.status("local") is None
    assert not runs(detached) and not files_left()
    again = loopback.up("local")
    assert again.daemon != board.daemon
    assert run(again, "echo here") == "here"


def test_up_after_a_killed_daemon_leaves_none_of_its_processes(board: KeptBoard) -> None:
    detached = identified(int(run(board, SPINOFF)))
    os.kill(board.daemon.pid, signal.SIGKILL)
    assert within(5, lambda: not runs(board.daemon))
    again = loopback.up("local")
    assert again.daemon != board.daemon and not runs(detached)


def test_a_pid_that_another_process_has_taken_over_is_not_the_daemon(board: KeptBoard) -> None:
    path = board.folder / "state.json"
    state = json.loads(path.read_text())
    daemon = state["daemon"]
    other = subprocess.Popen(["sleep", "300"])
    try:
        state["daemon"] = {"pid": other.pid, "start_ticks": daemon["start_ticks"]}
        path.write_text(json.dumps(state))
        assert loopback.status("local") is None
        assert other.poll() is None, "a stranger's process is left alone"
    finally:
        other.kill()
        other.wait()
    assert within(10, lambda: not runs(board.daemon)), "the true daemon is found by its mark"


def test_term_ends_the_daemon_and_what_its_sessions_run(board: KeptBoard) -> None:
    async def use(connection: object) -> int:
        process = await connection.create_process("echo $$; exec sleep 300")
        pid = int(await process.stdout.readline())
        os.kill(board.daemon.pid, signal.SIGTERM)
        await connection.wait_closed()
        return pid

    pid = logged_in(board, use)
    assert within(5, lambda: not runs(board.daemon) and start_ticks(pid) is None)


def test_a_daemon_that_does_not_come_up_leaves_its_log_in_the_error_and_nothing_else(
    private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no module named nothing >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    begun = time.monotonic()
    with pytest.raises(LoopbackFailed) as failed:
        loopback.up("local")
    assert "no module named nothing" in failed.value.log
    assert time.monotonic() - begun < 5, "a daemon that has ended is not waited for"
    assert not files_left()


def test_a_daemon_that_hangs_at_its_start_is_ended(
    private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nsleep 300\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr(loopback, "KEEPER", replace(loopback.KEEPER, up_s=0.5))
    with pytest.raises(LoopbackFailed):
        loopback.up("local")
    assert within(5, lambda: not daemons(state_folder() / "loopback" / "local"))
    assert not files_left()


def test_status_takes_milliseconds_and_loads_nothing_heavy() -> None:
    heavy = ("asyncssh", "cryptography", "paramiko", "trustme", "rich")
    code = f"""
import sys, time
from deploy.emulator import keeper, loopback
from deploy.emulator.keeper import Keeper
begun = time.perf_counter()
assert loopback.status("local") is None
assert time.perf_counter() - begun < 0.1
print([name for name in {heavy!r} if name in sys.modules])
"""
    repository = Path(loopback.__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr
