"""Hosts that hang while somebody connects: each ends within the time for it, and holds none of the others up."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import asyncssh
import pytest
from listening import listening
from servers import Server, openssh

from deploy.errors import HostError
from deploy.fleet.pool import each_of
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.model.rollout import Result, State
from deploy.transport import ssh
from deploy.transport.protocol import Script

pytestmark = pytest.mark.install_check

TIMEOUT_S = 0.6


@contextmanager
def hanging(greeting: bytes) -> Iterator[int]:
    """A listener on 127.0.0.1 that says so much to whoever comes, and nothing more."""
    held: list[socket.socket] = []

    def greet(connection: socket.socket) -> None:
        connection.sendall(greeting)
        held.append(connection)

    try:
        with listening(greet) as port:
            yield port
    finally:
        for connection in held:
            connection.close()


class HangsInLogin(asyncssh.SSHServer):
    def __init__(self, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    async def begin_auth(self, username: str) -> bool:
        await asyncio.sleep(60)
        return True


@contextmanager
def hanging_in_login(known_hosts: Path) -> Iterator[int]:
    """A server that shakes hands and never answers who wants to log in; its key goes into `known_hosts`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connections: list[asyncssh.SSHServerConnection] = []

    async def start() -> asyncssh.SSHAcceptor:
        key = asyncssh.generate_private_key("ssh-ed25519")
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: HangsInLogin(connections), server_host_keys=[key]
        )
        public = key.export_public_key("openssh").decode()
        known_hosts.write_text(f"[127.0.0.1]:{server.get_port()} {public}\n")
        return server

    async def stop(server: asyncssh.SSHAcceptor) -> None:
        server.close()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.05)

    try:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield server.get_port()
        asyncio.run_coroutine_threadsafe(stop(server), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


class Here:
    """Threads, as a fleet has them."""

    def __init__(self, executor: object) -> None:
        self.executor = executor

    def near(self, site: str) -> object:
        return self.executor


def deed(member: Member) -> Result:
    began_s = time.monotonic()
    try:
        with closing(ssh.connect(member.host, connect_timeout_s=TIMEOUT_S)) as transport:
            transport.run(Script("try", "echo hello"))
        return Result(member.name, State.UNCHANGED, seconds=time.monotonic() - began_s)
    except HostError as error:
        return Result(member.name, State.UNREACHABLE, problem=error.problem, seconds=time.monotonic() - began_s)


def test_hosts_that_hang_end_in_time_and_the_others_do_not_wait_for_them(
    server_folder: Path, private_home: Path
) -> None:
    with (
        openssh(server_folder) as server,
        hanging(b"") as silent,
        hanging(b"SSH-2.0-x\r\n") as banner,
        hanging_in_login(server_folder / "their_keys") as login,
        ThreadPoolExecutor(4) as executor,
    ):
        ports = {"silent": silent, "banner": banner, "login": login}
        members = [Member(name, _host(server, port), "") for name, port in ports.items()]
        members += [Member(f"well-{number}", server.host, "") for number in range(6)]
        found = list(each_of(members, deed, Here(executor), 4))  # type: ignore[arg-type]
    results = {result.member: result for result in found}
    assert len(results) == 9
    for name in ports:
        assert results[name].state is State.UNREACHABLE, results[name]
        assert results[name].seconds < 6 * TIMEOUT_S, results[name]
    assert "says nothing" in results["silent"].problem, results["silent"]
    well = [result for result in found if result.member.startswith("well")]
    assert all(result.state is State.UNCHANGED for result in well), well
    # One of four is free for them meanwhile: most of them are through before the last one that hangs.
    assert [result.member for result in found].index("well-3") < 8


def _host(server: Server, port: int) -> Host:
    return Host("127.0.0.1", server.host.user, port, server.host.key_file, str(server.folder / "their_keys"))
