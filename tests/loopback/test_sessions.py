"""What runs over SSH on the loopback board behaves as over OpenSSH: streams, endings, files, forwards, and refusals."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from login import logged_in, run, within

from deploy.emulator import loopback
from deploy.emulator.kept import KeptBoard
from deploy.emulator.processes import start_ticks
from deploy.transport import ssh
from deploy.transport.protocol import Script

THREE_MB = os.urandom(3_000_000)
QUIET = "</dev/null >/dev/null 2>&1 &"


def test_a_command_gets_its_input_and_gives_output_errors_and_status(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        ended = await connection.run("cat; echo wrong >&2; exit 3", input=b"\0\xff\r\n", encoding=None)
        assert (ended.stdout, ended.stderr, ended.exit_status) == (b"\0\xff\r\n", b"wrong\n", 3)
        assert ended.exit_signal is None

    logged_in(shared_board, use)


def test_a_signal_that_ended_a_command_is_told(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        ended = await connection.run("kill -KILL $$")
        assert ended.exit_signal is not None and ended.exit_signal[0] == "KILL"

    logged_in(shared_board, use)


def test_a_signal_that_the_client_sends_reaches_the_command(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process(
            "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
        )
        assert await process.stdout.readline() == "ready\n"
        process.send_signal("TERM")
        ended = await process.wait()
        assert (ended.stdout, ended.exit_status) == ("told\n", 5)

    logged_in(shared_board, use)


def test_three_megabytes_go_there_and_back_unchanged(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> float:
        begun = time.monotonic()
        there = await connection.run("cat >blob && wc -c <blob", input=THREE_MB, encoding=None)
        seconds = time.monotonic() - begun
        assert int(there.stdout) == len(THREE_MB)
        assert (await connection.run("cat blob; rm blob", encoding=None)).stdout == THREE_MB
        assert (await connection.run("cat", input=THREE_MB, encoding=None)).stdout == THREE_MB
        return seconds

    print(f"3 MB on standard input took {logged_in(shared_board, use):.3f} s")  # noqa: T201 (shown with -s)


def memory_kib(board: KeptBoard) -> int:
    lines = Path(f"/proc/{board.daemon.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_output_that_nobody_reads_waits_and_is_not_heaped_up(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process("head -c 80000000 /dev/zero", encoding=None)
        await process.stdout.readexactly(1)
        await asyncio.sleep(0.3)
        assert memory_kib(shared_board) - before < 20_000
        left = 80_000_000 - 1
        while data := await process.stdout.read(1 << 20):
            left -= len(data)
        assert (left, (await process.wait()).exit_status) == (0, 0)

    before = memory_kib(shared_board)
    logged_in(shared_board, use)


def test_input_that_a_command_is_slow_to_read_waits_and_is_not_heaped_up(shared_board: KeptBoard) -> None:
    async def send(process: asyncssh.SSHClientProcess[bytes]) -> None:
        for _ in range(20):
            process.stdin.write(THREE_MB)
            await process.stdin.drain()
        process.stdin.write_eof()

    async def use(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process("sleep 0.6; wc -c", encoding=None)
        sending = asyncio.create_task(send(process))
        await asyncio.sleep(0.5)
        assert not sending.done() and memory_kib(shared_board) - before < 20_000
        await sending
        assert int((await process.wait()).stdout) == 20 * len(THREE_MB)

    before = memory_kib(shared_board)
    logged_in(shared_board, use)


def test_it_keeps_nothing_open_of_sessions_that_are_over(shared_board: KeptBoard) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{shared_board.daemon.pid}/fd").iterdir()))

    async def use(connection: asyncssh.SSHClientConnection) -> None:
        for _ in range(5):
            await asyncio.gather(*(connection.run("cat; exit 1", input="x") for _ in range(8)))

    logged_in(shared_board, use)
    before = descriptors()
    for _ in range(3):
        logged_in(shared_board, use)
    assert within(5, lambda: descriptors() <= before), "after each, as many as after the first"


def test_a_command_that_does_not_read_its_input_ends_all_the_same(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process("exit 4", encoding=None)
        with contextlib.suppress(OSError, asyncssh.Error):
            process.stdin.write(THREE_MB)
        assert (await process.wait()).exit_status == 4

    logged_in(shared_board, use)


def test_a_background_child_without_the_streams_does_not_hold_the_session(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        begun = time.monotonic()
        ended = await connection.run(f"sleep 20 {QUIET} echo $!")
        assert ended.exit_status == 0 and time.monotonic() - begun < 2
        assert start_ticks(int(ended.stdout)) is not None
        await connection.run(f"kill {int(ended.stdout)}", check=True)

    logged_in(shared_board, use)


def test_a_background_child_with_the_output_holds_the_session_until_it_ends(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        begun = time.monotonic()
        ended = await connection.run("{ sleep 0.5; echo late; } & echo early; exit 6")
        assert (ended.stdout, ended.exit_status) == ("early\nlate\n", 6)
        assert 0.5 <= time.monotonic() - begun < 5

    logged_in(shared_board, use)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("sleep 300 & echo $! $$; wait", id="ordinary"),
        pytest.param("trap '' HUP; sleep 300 & echo $! $$; wait", id="deaf to HUP"),
        pytest.param("echo $$ $$; exec dd if=/dev/zero bs=65536", id="writing"),
    ],
)
def test_a_command_goes_with_its_channel(shared_board: KeptBoard, command: str) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process(command, encoding=None)
        pids = [int(pid) for pid in (await process.stdout.readline()).split()]
        assert all(start_ticks(pid) is not None for pid in pids)
        process.close()
        await asyncio.to_thread(within, 5, lambda: all(start_ticks(pid) is None for pid in pids))
        assert [start_ticks(pid) for pid in pids] == [None, None]

    logged_in(shared_board, use)


def test_a_detached_child_outlives_channel_and_connection(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> int:
        # It tells its number once it has a session of its own.
        detached = "setsid sh -c 'echo $$; exec sleep 60 </dev/null >/dev/null 2>&1' &"
        process = await connection.create_process(f"{detached} sleep 300")
        pid = int(await process.stdout.readline())
        connection.abort()
        return pid

    pid = logged_in(shared_board, use)
    time.sleep(0.3)
    assert start_ticks(pid) is not None
    run(shared_board, f"kill {pid}")


def test_a_command_sees_nothing_of_the_controllers_environment(shared_board: KeptBoard) -> None:
    seen = dict(line.split("=", 1) for line in run(shared_board, "env").splitlines())
    ours = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "SLIMDEPLOY_LOOPBACK"}
    assert set(seen) - {"PWD", "OLDPWD", "SHLVL", "_"} == ours
    assert (seen["HOME"], seen["PWD"]) == (str(shared_board.home), str(shared_board.home))
    daemon = Path(f"/proc/{shared_board.daemon.pid}/environ").read_bytes()
    assert b"a-secret-of-the-controller" not in daemon


def test_no_signal_is_ignored_by_a_command(shared_board: KeptBoard) -> None:
    ignored = int(run(shared_board, "grep SigIgn /proc/self/status").split()[1], 16)
    assert ignored & 0x7FFFFFFF == 0  # signals 1 to 31; the real-time ones are libc's and the machine's


def test_a_shell_without_a_command_reads_its_standard_input(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        ended = await connection.run(input="pwd\nexit 9\n")
        assert (ended.stdout, ended.exit_status) == (f"{shared_board.home}\n", 9)

    logged_in(shared_board, use)


def test_a_subsystem_that_is_not_there_starts_nothing(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process(subsystem="netconf")
        ended = await process.wait()
        assert (ended.stdout, ended.exit_status) == ("", 127)

    logged_in(shared_board, use)


def test_many_sessions_of_one_connection_run_side_by_side(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        ended = await asyncio.gather(*(connection.run(f"sleep 0.2; echo {number}") for number in range(8)))
        assert [each.stdout for each in ended] == [f"{number}\n" for number in range(8)]

    logged_in(shared_board, use)


def test_files_come_and_go_over_sftp_relative_to_the_home(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        async with connection.start_sftp_client() as sftp:
            assert await sftp.realpath(".") == str(shared_board.home)
            async with sftp.open("over-sftp", "wb") as file:
                await file.write(THREE_MB)
            async with sftp.open("over-sftp", "rb") as file:
                assert await file.read() == THREE_MB
            await sftp.remove("over-sftp")

    logged_in(shared_board, use)


def test_without_sftp_the_commands_go_on(private_home: Path) -> None:
    board = loopback.up("local", sftp=False)

    async def use(connection: asyncssh.SSHClientConnection) -> None:
        with pytest.raises(asyncssh.ChannelOpenError, match="request failed"):
            await connection.start_sftp_client()
        ended = await connection.run("echo still here", check=True)
        assert ended.stdout == "still here\n"

    try:
        logged_in(board, use)
    finally:
        loopback.down("local")


@contextlib.asynccontextmanager
async def greeter() -> AsyncIterator[int]:
    """A server that says hello in capitals to whoever tells it a line; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def greet(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_a_port_of_the_board_is_reached_from_the_controller(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        async with greeter() as port, connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", port) as listener:
            assert await greet(listener.get_port()) == b"HELLO\n"

    logged_in(shared_board, use)


def test_a_port_of_the_controller_is_reached_from_the_board(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        async with greeter() as port, connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", port) as listener:
            assert await greet(listener.get_port()) == b"HELLO\n"

    logged_in(shared_board, use)


def test_no_forward_leads_off_the_machine_or_lets_the_network_in(shared_board: KeptBoard, tmp_path: Path) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        with pytest.raises(asyncssh.ChannelOpenError) as refused:
            await connection.open_connection("192.0.2.1", 80)
        assert refused.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "refused, not tried in vain"
        for everywhere in ("", "0.0.0.0", "::"):
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_port(everywhere, 0, "127.0.0.1", 9)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_path(str(tmp_path / "socket"), str(tmp_path / "other"))
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection(str(tmp_path / "socket"))

    logged_in(shared_board, use)


def test_another_key_another_login_and_a_password_are_refused(shared_board: KeptBoard) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        raise AssertionError("let in")

    stranger = asyncssh.generate_private_key("ssh-ed25519")
    for wrong in (
        {"client_keys": [stranger]},
        {"client_keys": None, "password": "secret"},
        {"username": "somebody-else"},
    ):
        with pytest.raises(asyncssh.PermissionDenied):
            logged_in(shared_board, use, **wrong)


def test_the_host_key_is_of_this_board_alone(shared_board: KeptBoard, tmp_path: Path) -> None:
    async def use(connection: asyncssh.SSHClientConnection) -> None:
        raise AssertionError("let in")

    public = asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode()
    other = tmp_path / "known_hosts"
    other.write_text(f"[127.0.0.1]:{shared_board.port} {public}")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        logged_in(shared_board, use, known_hosts=str(other))


def test_the_product_logs_in_and_runs_a_command_soon(shared_board: KeptBoard) -> None:
    seconds = []
    for _ in range(3):
        begun = time.monotonic()
        with contextlib.closing(ssh.connect(shared_board.host)) as transport:
            assert transport.run(Script("say it", "echo hello")).stdout == b"hello\n"
        seconds.append(time.monotonic() - begun)
    print(f"connecting and the first command took {min(seconds) * 1000:.0f} ms")  # noqa: T201 (shown with -s)


def test_a_person_logs_in_by_hand(shared_board: KeptBoard) -> None:
    program = shutil.which("ssh")
    if program is None:
        pytest.skip("ssh is not installed (Debian: apt-get install openssh-client)")
    command = [program, "-F", "none", "-p", str(shared_board.port), "-i", str(shared_board.key_file)]
    command += ["-o", f"UserKnownHostsFile={shared_board.known_hosts_file}", "-o", "BatchMode=yes"]
    command += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", f"{getpass.getuser()}@127.0.0.1"]
    by_hand = subprocess.run([*command, "uname -a"], capture_output=True, text=True, timeout=20, check=False)
    assert (by_hand.returncode, by_hand.stdout.split()[0]) == (0, "Linux"), by_hand.stderr
    shell = subprocess.run(
        [*command, "-T"], input="echo I am $USER\nexit 7\n", capture_output=True, text=True, timeout=20, check=False
    )
    assert shell.returncode == 7 and f"I am {getpass.getuser()}" in shell.stdout, shell.stderr
