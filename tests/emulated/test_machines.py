"""Real kernels under QEMU: each boots to a login, keeps to itself, keeps what was synced, and ends with its daemon."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest
from emulated_board import TOKEN, EmulatedBoard, children, connections, gone, listening, slot, started

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]

LOOPBACK = "0100007F"
UNAME = {"riscv64": "riscv64", "arm64": "aarch64", "armv7": "armv7l", "mipsle": "mips"}


def test_a_board_boots_to_a_login_of_its_architecture_with_its_memory(board: EmulatedBoard) -> None:
    said = board.run("uname -m; sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; id -un; hostname")
    machine, total_kib, user, name = said.out.split()
    assert (machine, user, name) == (UNAME[board.machine], "root", board.machine)
    assert 64 * 1024 <= int(total_kib) < 67 * 1024
    assert board.state["facts"]["memory that Linux sees"] == f"{total_kib} kB"


def test_a_login_with_another_key_or_none_is_refused(board: EmulatedBoard) -> None:
    assert board.run("cat /root/.ssh/authorized_keys").out.count("ssh-ed25519") == 1
    assert board.refuses_strangers()


def test_the_host_listens_for_it_at_127_0_0_1_and_nowhere_else(board: EmulatedBoard) -> None:
    assert listening([board.daemon.pid, *board.qemu]) == {("tcp", LOOPBACK)}
    assert listening(board.qemu) == {("tcp", LOOPBACK)}


def test_the_guest_reaches_nothing_of_the_host_but_the_bot_api(board: EmulatedBoard) -> None:
    """10.0.2.2 is what a guest calls its host (qemu-system(1), -netdev user); QEMU itself answers a ping to it."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        for command in (f"wget -q -T 2 -O - http://10.0.2.2:{port}/", f"nc -w 2 10.0.2.2 {port}"):
            assert board.run(f"{command} 2>&1").status != 0, command
        service.setblocking(False)
        with pytest.raises(BlockingIOError):
            service.accept()
    answer = board.over_tls(f"GET /bot{TOKEN}/getMe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["ok"] is True


def test_a_board_that_is_up_boots_again_though_its_image_is_gone(
    image_of: Callable[[str], Path], emulated_cache: Path
) -> None:
    image = image_of("armv7")
    with slot(emulated_cache), tempfile.TemporaryDirectory(prefix="emulated-") as folder:
        own = Path(folder) / "image"
        shutil.copytree(image, own)
        board = EmulatedBoard(Path(folder) / "board", "armv7", own)
        try:
            shutil.rmtree(own)
            board.ask("power_cut")
            board.wait_for_boot(2)
            assert board.run("uname -m").out.strip() == UNAME["armv7"]
        finally:
            board.stop()
        assert board.daemon.returncode == 0, board.words()


@pytest.mark.parametrize("board", ["riscv64"], indirect=True, scope="session")
def test_a_power_cut_loses_nothing_that_was_synced_and_the_board_boots_again(board: EmulatedBoard) -> None:
    boots = board.ask("boots")["boots"]
    qemu = board.qemu
    kept = board.run("dd if=/dev/urandom of=/opt/kept bs=1024 count=300 2>/dev/null; sync; sha256sum /opt/kept").out
    assert len(kept.split()[0]) == 64
    board.run("echo running >/run/mark")
    board.ask("power_cut")
    board.wait_for_boot(boots + 1)
    assert board.run("sha256sum /opt/kept").out == kept
    assert board.run("cat /run/mark").status != 0, "what was in memory is gone"
    assert set(board.qemu).isdisjoint(qemu)
    answer = board.over_tls(f"GET /bot{TOKEN}/getMe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 "), "the way back to the Bot API is there again"


@pytest.mark.parametrize("board", ["riscv64"], indirect=True, scope="session")
def test_a_way_back_that_is_blocked_for_a_while_is_there_again_and_leaves_no_connection_open(
    board: EmulatedBoard,
) -> None:
    port = board.state["bot_api_port"]
    # Until the connection that the port belongs to is gone, nc can't have it; then it keeps it until it is told.
    block = f"""
for pid in $(pidof dropbear); do [ $pid = $(cat /run/dropbear.pid) ] || kill $pid; done
until [ -e /run/unblock ]; do nc -l -p {port}; sleep 0.2; done
"""
    board.run(f"rm -f /run/unblock; setsid sh -c '{block}' </dev/null >/dev/null 2>&1 &")
    until_s = time.monotonic() + 60
    while not takes_the_port(board):
        assert time.monotonic() < until_s, "the port is never taken"
    time.sleep(4)  # eight tries, at two a second
    assert board.run("pidof nc").status == 0, "the port is taken"
    assert connections(board.daemon.pid, board.state["port"]) <= 1
    board.run("touch /run/unblock; kill $(pidof nc)")
    until_s = time.monotonic() + 30
    request = b"GET /bot" + TOKEN.encode() + b"/getMe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    while not answers(board, request):
        assert time.monotonic() < until_s, board.words()
        time.sleep(0.5)
    assert connections(board.daemon.pid, board.state["port"]) == 1


def takes_the_port(board: EmulatedBoard) -> bool:
    try:
        return board.run("pidof nc").status == 0
    except asyncssh.Error:  # this login was ended like the others
        return False


def answers(board: EmulatedBoard, request: bytes) -> bool:
    try:
        return board.over_tls(request).startswith(b"HTTP/1.1 200 ")
    except (OSError, asyncssh.Error):
        return False


def test_what_the_daemon_writes_is_for_its_owner_alone(board: EmulatedBoard) -> None:
    ours = {"token", "settings.json", "daemon.log"}  # written by the test itself
    for path in board.folder.iterdir():
        if path.name not in ours:
            assert path.stat().st_mode & 0o077 == 0, path.name


def test_a_board_that_is_ended_while_it_boots_goes_at_once_with_its_qemu(
    image_of: Callable[[str], Path], emulated_cache: Path
) -> None:
    image = image_of("armv7")
    with slot(emulated_cache), tempfile.TemporaryDirectory(prefix="emulated-") as folder:
        daemon = started(Path(folder) / "board", "armv7", image)
        try:
            until_s = time.monotonic() + 30
            while not (Path(folder) / "board" / "console.log").exists():
                assert daemon.poll() is None and time.monotonic() < until_s
                time.sleep(0.02)
            qemu = children(daemon.pid)
            assert len(qemu) == 1
            daemon.terminate()
            assert daemon.wait(5) == 1
            assert all(gone(pid) for pid in qemu)
        finally:
            daemon.kill()
            daemon.wait(20)
        assert "ended while it booted" in (Path(folder) / "board" / "daemon.log").read_text()


def test_no_qemu_outlives_a_daemon_that_was_killed(image_of: Callable[[str], Path], emulated_cache: Path) -> None:
    image = image_of("armv7")
    with slot(emulated_cache), tempfile.TemporaryDirectory(prefix="emulated-") as folder:
        board = EmulatedBoard(Path(folder) / "board", "armv7", image)
        try:
            children = board.qemu
            assert len(children) == 1
        finally:
            board.daemon.kill()
            board.daemon.wait(20)
        assert all(gone(pid) for pid in children)
