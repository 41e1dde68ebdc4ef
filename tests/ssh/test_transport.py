"""Scripts, requests and forwarded ports over real SSH servers, and whose keys are believed."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from servers import Server, free_port, make_key, openssh

from deploy.errors import (
    AuthenticationRefused,
    BadAnswer,
    ConnectionLost,
    DeadlineExceeded,
    ForwardRefused,
    HostKeyChanged,
    HostKeyUnknown,
    Unreachable,
)
from deploy.model.host import Host
from deploy.model.secret import Secret
from deploy.transport import host_keys, ssh
from deploy.transport.protocol import Script
from deploy.transport.ssh import SshTransport

pytestmark = pytest.mark.install_check


@pytest.fixture
def transport(real_server: Server) -> Iterator[SshTransport]:
    with closing(ssh.connect(real_server.host)) as opened:
        yield opened


@contextmanager
def echoing() -> Iterator[int]:
    """A server on 127.0.0.1 that sends back in capitals what comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(connection.recv(1000).upper())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_a_script_runs_in_sh_with_its_status_and_both_its_outputs(transport: SshTransport) -> None:
    ended = transport.run(Script("try", "printf 'out é\\n'; printf err >&2; cat; exit 3"))
    assert (ended.exit_status, ended.stdout, ended.stderr) == (3, "out é\n".encode(), b"err")
    assert transport.round_trips == 1


def test_a_script_that_ends_with_exec_or_without_a_newline_keeps_its_status(transport: SshTransport) -> None:
    assert transport.run(Script("try", "exec sh -c 'exit 7'")).exit_status == 7
    assert transport.run(Script("try", "true\nfalse")).exit_status == 1
    assert transport.run(Script("try", "cat <<'X'\nhere\nX")).stdout == b"here\n"


def test_a_long_script_fits_where_a_long_command_would_not(transport: SshTransport) -> None:
    text = "\n".join(f"value_{number}='{'x' * 60}'" for number in range(2000)) + "\necho $value_1999"
    assert transport.run(Script("try", text)).stdout == b"x" * 60 + b"\n"


def test_three_megabytes_arrive_byte_for_byte_both_ways(transport: SshTransport) -> None:
    data = os.urandom(3_000_000)
    told: list[tuple[int, int]] = []
    ended = transport.run(Script("try", "cat", payload=data), lambda done, total: told.append((done, total)))
    assert ended.stdout == data
    assert told[-1] == (len(data), len(data))


def test_a_file_and_a_secret_travel_as_standard_input(transport: SshTransport, tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(b"\x00\xff" * 50_000)
    assert transport.run(Script("try", "cat", payload=file)).stdout == file.read_bytes()
    assert transport.run(Script("try", "cat", payload=Secret(b"s3cret"))).stdout == b"s3cret"


def test_a_command_that_reads_nothing_of_its_input_still_tells_its_status(transport: SshTransport) -> None:
    assert transport.run(Script("try", "exit 5", payload=os.urandom(3_000_000))).exit_status == 5


def test_a_command_that_a_signal_ended_has_a_negative_status(transport: SshTransport) -> None:
    assert transport.run(Script("try", "kill -9 $$")).exit_status < 0


def test_a_command_that_hangs_ends_at_its_deadline_and_the_connection_lives_on(transport: SshTransport) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        transport.run(Script("hang", "sleep 60", deadline_s=0.5))
    assert time.monotonic() - began < 5
    assert transport.run(Script("try", "echo on")).stdout == b"on\n"


def test_more_output_than_sixteen_megabytes_is_refused(transport: SshTransport) -> None:
    with pytest.raises(BadAnswer, match="16 MiB"):
        transport.run(Script("flood", "head -c 20000000 /dev/zero"))


def test_a_connection_that_breaks_in_mid_command_is_lost_and_nothing_hangs(real_server: Server) -> None:
    with closing(ssh.connect(real_server.host)) as transport:
        script = Script("be cut off", "kill -9 $PPID; sleep 60")
        with pytest.raises(ConnectionLost):
            transport.run(script)
        with pytest.raises(ConnectionLost):
            transport.run(Script("try", "true"))


def test_a_port_of_the_board_answers_through_the_connection(transport: SshTransport) -> None:
    with echoing() as port:
        assert transport.request(port, b"hello") == b"HELLO"
    with pytest.raises(ForwardRefused, match="nothing listens"):
        transport.request(free_port(), b"hello")


def test_a_port_of_the_board_leads_back_to_the_controller(transport: SshTransport) -> None:
    with echoing() as port, transport.lead_back(port) as there:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", there), timeout=5) as connection:
                connection.sendall(b"back")
                assert connection.recv(100) == b"BACK"


def test_closing_twice_is_fine_and_leaves_no_thread(real_server: Server) -> None:
    before = set(threading.enumerate())
    transport = ssh.connect(real_server.host)
    transport.run(Script("try", "true"))
    transport.close()
    transport.close()
    until = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < until:
        time.sleep(0.02)
    assert not set(threading.enumerate()) - before


def test_a_server_that_forwards_nothing_says_so(server_folder: Path) -> None:
    with openssh(server_folder, "AllowTcpForwarding no") as server, closing(ssh.connect(server.host)) as transport:
        with pytest.raises(ForwardRefused) as refused:
            transport.request(free_port(), b"x")
        assert refused.value.prohibited
        with pytest.raises(ForwardRefused), transport.lead_back(free_port()):
            pass


def stranger(server: Server) -> Host:
    """The server as somebody sees it who has its address and nothing else."""
    return replace(server.host, known_hosts=None, key_file=None)


def test_an_unknown_key_is_refused_with_the_fingerprint_that_ssh_keygen_prints(real_server: Server) -> None:
    with pytest.raises(HostKeyUnknown) as refused:
        ssh.connect(stranger(real_server), identity=Path(real_server.key))
    printed = subprocess.run(
        ["ssh-keygen", "-lf", str(real_server.host.known_hosts)], capture_output=True, text=True, check=True
    )
    assert refused.value.fingerprint in printed.stdout
    assert not host_keys.own_file().exists()


def test_a_key_that_was_accepted_is_known_from_then_on_and_can_be_forgotten(real_server: Server) -> None:
    host, identity = stranger(real_server), Path(real_server.key)
    ssh.connect(host, identity=identity, accept_new_host_key=True).close()
    assert host_keys.own_file().stat().st_mode & 0o777 == 0o600
    ssh.connect(host, identity=identity).close()
    assert host_keys.forget(host) == 1
    with pytest.raises(HostKeyUnknown):
        ssh.connect(host, identity=identity)


@pytest.mark.parametrize("accept", [False, True])
def test_a_changed_key_is_refused_even_where_new_ones_are_accepted(
    real_server: Server, tmp_path: Path, accept: bool
) -> None:
    public = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    own = host_keys.own_file()
    own.parent.mkdir(parents=True)
    own.write_text(f"[127.0.0.1]:{real_server.host.port} {public[0]} {public[1]}\n")
    before = own.read_text()
    with pytest.raises(HostKeyChanged) as refused:
        ssh.connect(stranger(real_server), identity=Path(real_server.key), accept_new_host_key=accept)
    assert refused.value.known_hosts == str(own)
    assert own.read_text() == before


def test_a_revoked_key_is_refused(real_server: Server) -> None:
    words = Path(str(real_server.host.known_hosts)).read_text().split()
    own = host_keys.own_file()
    own.parent.mkdir(parents=True)
    own.write_text(f"@revoked * {words[1]} {words[2]}\nthis line is none\n")
    with pytest.raises(HostKeyChanged):
        ssh.connect(stranger(real_server), identity=Path(real_server.key), accept_new_host_key=True)


def test_the_users_own_known_hosts_is_read_and_never_written(real_server: Server, private_home: Path) -> None:
    theirs = private_home / ".ssh" / "known_hosts"
    theirs.parent.mkdir()
    theirs.write_text("garbage\n|1|bad\n" + Path(str(real_server.host.known_hosts)).read_text())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(theirs)], capture_output=True, check=False)
    before = theirs.read_bytes()
    ssh.connect(stranger(real_server), identity=Path(real_server.key)).close()
    assert theirs.read_bytes() == before
    assert not host_keys.own_file().exists()


def test_an_alias_of_the_users_ssh_config_works(real_server: Server, private_home: Path) -> None:
    folder = private_home / ".ssh"
    folder.mkdir()
    host = real_server.host
    (folder / "config").write_text(
        f"Host myboard\n HostName 127.0.0.1\n Port {host.port}\n User {host.user}\n IdentityFile {host.key_file}\n"
    )
    (folder / "known_hosts").write_text(Path(str(host.known_hosts)).read_text())
    with closing(ssh.connect(Host("myboard"), board_user="nobody-at-all")) as transport:
        assert transport.run(Script("try", "echo there")).stdout == b"there\n"


def test_a_login_that_is_refused_says_so(real_server: Server, tmp_path: Path) -> None:
    host = replace(real_server.host, key_file=str(make_key(tmp_path / "wrong")))
    with pytest.raises(AuthenticationRefused):
        ssh.connect(host)


def test_nothing_listening_a_name_that_nobody_knows_and_something_else_than_ssh() -> None:
    with pytest.raises(Unreachable, match="nothing listens"):
        ssh.connect(Host("127.0.0.1", "root", free_port()))
    with pytest.raises(Unreachable, match="nobody knows the name"):
        ssh.connect(Host("no-such-host.invalid", "root"))
    with echoing() as port, pytest.raises(Unreachable, match="does not speak SSH"):
        ssh.connect(Host("127.0.0.1", "root", port))


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreachable):
        ssh.connect(Host("127.0.0.1", "root", silent.getsockname()[1]), connect_timeout_s=1)
