"""Hosts behind one jump host: a real sshd that is logged in to once, and whose death takes no later host with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import Server, descendants, openssh

from deploy.errors import HostError, Unreachable
from deploy.model.host import Host
from deploy.transport import ssh
from deploy.transport.protocol import Script

pytestmark = pytest.mark.install_check

BEHIND = tuple(f"127.0.9.{number}" for number in range(1, 7))


@dataclass
class Gate:
    """A jump host, and six addresses behind it."""

    jump: Server
    behind: Server

    def logins(self) -> int:
        """How often somebody has logged in to the jump host, by its own log."""
        return (self.jump.folder / "server.log").read_text().count("Accepted publickey")

    def sessions(self) -> list[int]:
        """The processes of its connections."""
        return descendants(self.jump.process.pid)[1:]

    def says_where(self, address: str) -> str:
        with closing(ssh.connect(Host(address), connect_timeout_s=5.0)) as transport:
            return transport.run(Script("try", "set -- $SSH_CONNECTION; echo $3")).stdout.decode().strip()


@pytest.fixture
def gate(tmp_path: Path, private_home: Path) -> Iterator[Gate]:
    with ExitStack() as stack:
        for name in ("jump", "behind"):
            (tmp_path / name).mkdir()
        jump = stack.enter_context(openssh(tmp_path / "jump"))
        listening = [f"ListenAddress {address}" for address in BEHIND]
        behind = stack.enter_context(openssh(tmp_path / "behind", *listening))
        known = Path(str(behind.host.known_hosts)).read_text().split()
        folder = private_home / ".ssh"
        folder.mkdir()
        (folder / "known_hosts").write_text(
            Path(str(jump.host.known_hosts)).read_text()
            + "".join(f"[{address}]:{behind.host.port} {known[1]} {known[2]}\n" for address in BEHIND)
        )
        (folder / "config").write_text(
            f"Host gate\n HostName 127.0.0.1\n Port {jump.host.port}\n User {jump.host.user}\n"
            f" IdentityFile {jump.key}\n"
            f"Host 127.0.9.*\n Port {behind.host.port}\n User {behind.host.user}\n IdentityFile {behind.key}\n"
            " ProxyJump gate\n"
        )
        yield Gate(jump, behind)


def test_hosts_behind_one_jump_host_share_one_login_there(gate: Gate) -> None:
    with ThreadPoolExecutor(4) as executor:  # four at once, and two that come when others have ended
        assert list(executor.map(gate.says_where, BEHIND)) == list(BEHIND)
    assert gate.logins() == 1


def test_a_jump_host_whose_connection_died_is_logged_in_to_anew(gate: Gate) -> None:
    with closing(ssh.connect(Host(BEHIND[0]))) as first:
        for pid in gate.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(HostError):
            first.run(Script("try", "echo hello"))
        with ThreadPoolExecutor(5) as executor:
            assert list(executor.map(gate.says_where, BEHIND[1:])) == list(BEHIND[1:])
    assert gate.logins() == 2, "one more, for all of them"


def test_a_dead_host_behind_it_harms_none_of_the_others(gate: Gate, private_home: Path) -> None:
    config = private_home / ".ssh" / "config"
    config.write_text(f"Host 127.0.9.1\n Port 9\n{config.read_text()}")
    with closing(ssh.connect(Host(BEHIND[1]))) as other:
        with pytest.raises(Unreachable, match="jump host does not reach"):
            ssh.connect(Host(BEHIND[0]))
        assert other.run(Script("try", "echo hello")).stdout == b"hello\n"
    assert gate.logins() == 1


def test_a_dead_jump_host_is_tried_once_for_all_who_wait_for_it(gate: Gate) -> None:
    gate.jump.process.send_signal(signal.SIGSTOP)  # it is connected to, and says nothing
    try:
        began_s = time.monotonic()

        def fails(address: str) -> str:
            with pytest.raises(Unreachable) as found:
                ssh.connect(Host(address), connect_timeout_s=1.0)
            return found.value.problem

        with ThreadPoolExecutor(len(BEHIND)) as executor:
            problems = set(executor.map(fails, BEHIND))
        assert len(problems) == 1 and "says nothing" in problems.pop()
        assert time.monotonic() - began_s < 4
    finally:
        gate.jump.process.send_signal(signal.SIGCONT)
