"""Scripts, requests and forwarded ports over real SSH servers, and whose keys are believed."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from listening import listening
from paramiko import SSHClient, SSHException
from servers import Server, descendants, dropbear, free_port, make_key, needs, openssh

from deploy.errors import (
    AuthenticationRefused,
    BadAnswer,
    BadFile,
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


@pytest.mark.parametrize("sftp", [False, True])
def test_the_dropbear_of_these_tests_has_sftp_just_where_it_is_asked_for(server_folder: Path, sftp: bool) -> None:
    with dropbear(server_folder, sftp=sftp) as server, closing(SSHClient()) as client:
        client.load_host_keys(str(server.host.known_hosts))
        user, key = server.host.user, server.key
        client.connect(
            "127.0.0.1", server.host.port or 0, user, key_filename=key, allow_agent=False, look_for_keys=False
        )
        try:
            client.open_sftp().listdir(".")
            found = True
        except (SSHException, EOFError):
            found = False
        assert found is sftp


@contextmanager
def echoing() -> Iterator[int]:
    """A server on 127.0.0.1 that sends back in capitals what comes."""

    def echo(connection: socket.socket) -> None:
        with connection:
            connection.sendall(connection.recv(1000).upper())

    with listening(echo) as port:
        yield port


def test_a_script_runs_in_sh_with_its_status_and_both_its_outputs(transport: SshTransport) -> None:
    ended = transport.run(Script("try", "printf 'out é\\n'; printf err >&2; cat; exit 3"))
    assert (ended.exit_status, ended.stdout, ended.stderr) == (3, "out é\n".encode(), b"err")
    assert transport.round_trips == 1


def test_a_script_that_ends_with_exec_or_without_a_newline_keeps_its_status(transport: SshTransport) -> None:
    assert transport.run(Script("try", "exec sh -c 'exit 7'")).exit_status == 7
    assert transport.run(Script("try", "true\nfalse")).exit_status == 1
    assert transport.run(Script("try", "cat <<'X'\nhere\nX")).stdout == b"here\n"
    assert transport.run(Script("try", "exit 3\necho never")).exit_status == 3
    assert transport.run(Script("try", "# nothing but words\n")).exit_status == 0
    assert transport.run(Script("try", "")).exit_status == 0


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


def test_a_payload_that_cannot_be_read_is_told_as_that_and_nothing_runs(
    transport: SshTransport, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        transport.run(Script("try", f"touch {tmp_path}/ran; cat", payload=tmp_path / "nowhere"))
    assert not (tmp_path / "ran").exists()
    assert transport.run(Script("try", "true")).exit_status == 0


def test_both_outputs_and_the_input_may_be_large_at_once(transport: SshTransport) -> None:
    data = os.urandom(2_000_000)
    ended = transport.run(Script("try", "head -c 3000000 /dev/zero >&2; tee /dev/stderr", payload=data))
    assert ended.stdout == data
    assert ended.stderr == bytes(3_000_000) + data


def test_outputs_that_are_closed_early_do_not_cut_the_input_short(transport: SshTransport, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    script = f"exec >&- 2>&-; sleep 0.2; cat >{tmp_path}/taken; exit 4"
    assert transport.run(Script("try", script, payload=data)).exit_status == 4
    assert (tmp_path / "taken").read_bytes() == data


def test_many_scripts_leave_no_file_descriptor_and_work_where_a_thousand_are_open(transport: SshTransport) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            assert transport.run(Script("try", "echo on")).stdout == b"on\n"
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_command_that_reads_nothing_of_its_input_still_tells_its_status(transport: SshTransport) -> None:
    assert transport.run(Script("try", "exit 5", payload=os.urandom(3_000_000))).exit_status == 5


def test_a_command_that_a_signal_ended_has_a_negative_status(transport: SshTransport) -> None:
    assert transport.run(Script("try", "kill -9 $$")).exit_status < 0


def test_a_command_that_hangs_ends_at_its_deadline_and_the_connection_lives_on(transport: SshTransport) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        transport.run(Script("hang", "sleep 8", deadline_s=0.5))
    assert time.monotonic() - began < 5
    assert transport.run(Script("try", "echo on")).stdout == b"on\n"


def test_a_server_that_stops_in_mid_upload_is_given_up_at_the_deadline(real_server: Server) -> None:
    def stop() -> None:
        for pid in descendants(real_server.process.pid):
            os.kill(pid, signal.SIGSTOP)

    with closing(ssh.connect(real_server.host)) as transport:
        began = time.monotonic()
        stopping = threading.Timer(0.3, stop)
        stopping.start()
        with pytest.raises(DeadlineExceeded):
            transport.run(Script("try", "sleep 8", payload=bytes(40_000_000), deadline_s=1))
        assert time.monotonic() - began < 5
        stopping.join()
        with pytest.raises((DeadlineExceeded, ConnectionLost)):
            transport.run(Script("try", "true", deadline_s=0.5))
        with pytest.raises((DeadlineExceeded, ConnectionLost)):
            transport.request(free_port(), b"x", deadline_s=0.5)


def test_a_port_that_accepts_and_says_nothing_is_given_up_at_the_deadline(transport: SshTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DeadlineExceeded):
        transport.request(silent.getsockname()[1], b"hello", deadline_s=0.3)
    assert transport.run(Script("try", "echo on")).stdout == b"on\n"


def test_more_output_than_sixteen_megabytes_is_refused(transport: SshTransport) -> None:
    with pytest.raises(BadAnswer, match="16 MiB"):
        transport.run(Script("flood", "head -c 20000000 /dev/zero"))


def test_a_connection_that_breaks_in_mid_command_is_lost_and_nothing_hangs(real_server: Server) -> None:
    with closing(ssh.connect(real_server.host)) as transport:
        script = Script("be cut off", "kill -9 $PPID; sleep 8")
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


def test_a_port_that_led_back_is_gone_afterwards_even_with_a_connection_open(transport: SshTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with transport.lead_back(listener.getsockname()[1]) as there:
            held = socket.create_connection(("127.0.0.1", there), timeout=5)
            accepted, _ = listener.accept()
        with held, accepted:
            accepted.settimeout(5)
            assert accepted.recv(1) == b""
        # Dropbear 2022.83 goes on listening at a port that it chose; whoever comes is turned away.
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", there), timeout=5) as late:
            assert late.recv(1) == b""
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert transport.round_trips == 0


def test_a_megabyte_goes_both_ways_through_a_port_that_leads_back(transport: SshTransport) -> None:
    data = os.urandom(1_000_000)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        transport.lead_back(listener.getsockname()[1]) as there,
        socket.create_connection(("127.0.0.1", there), timeout=10) as board,
        listener.accept()[0] as here,
    ):
        writer = threading.Thread(target=lambda: (board.sendall(data), board.shutdown(socket.SHUT_WR)))
        writer.start()
        came = b"".join(iter(lambda: here.recv(65536), b""))
        writer.join(10)
        assert came == data
        here.sendall(data)
        here.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: board.recv(65536), b"")) == data


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


def test_a_known_key_of_any_type_is_asked_for_and_matches(server_folder: Path) -> None:
    keys = [make_key(server_folder / kind, kind) for kind in ("rsa", "ecdsa")]
    with openssh(server_folder, *(f"HostKey {key}" for key in keys)) as server:
        own = host_keys.own_file()
        own.parent.mkdir(parents=True)
        for key in keys:
            words = key.with_suffix(".pub").read_text().split()
            own.write_text(f"[127.0.0.1]:{server.host.port} {words[0]} {words[1]}\n")
            ssh.connect(stranger(server), identity=Path(server.key)).close()


@pytest.fixture
def configured(real_server: Server, private_home: Path) -> Callable[[str], None]:
    """Writes a ~/.ssh whose config has these lines for the alias `myboard`; the server's key is known there."""

    def write(lines: str, before: str = "") -> None:
        folder = private_home / ".ssh"
        folder.mkdir(exist_ok=True)
        host = real_server.host
        alias = f"Host myboard\n HostName 127.0.0.1\n Port {host.port}\n User {host.user}\n{lines}\n"
        (folder / "config").write_text(before + alias)
        (folder / "known_hosts").write_text(Path(str(host.known_hosts)).read_text())

    return write


def says_hello(host: Host, *, own: str | None = "127.0.0.1", **more: Any) -> bool:
    with closing(ssh.connect(host, **more)) as transport:
        assert transport.own_address() == own
        return transport.run(Script("try", "echo hello")).stdout == b"hello\n"


def test_an_alias_of_the_users_ssh_config_works(real_server: Server, configured: Callable[..., None]) -> None:
    configured(f" IdentityFile ~/.ssh/not-there\n IdentityFile {real_server.key}")
    assert says_hello(Host("myboard"), board_user="nobody-at-all", board_port=1)
    configured(f" ProxyJump none\n IdentityFile {real_server.key}")
    assert says_hello(Host("myboard"))
    with pytest.raises(AuthenticationRefused, match="nobody-at-all"):
        ssh.connect(Host("myboard", "nobody-at-all"))


def test_a_key_of_the_users_ssh_folder_is_found_behind_one_that_is_broken(
    real_server: Server, configured: Callable[..., None], private_home: Path
) -> None:
    configured("")
    (private_home / ".ssh" / "id_ed25519").write_text("no key")
    with pytest.raises(AuthenticationRefused, match="no private key"):
        ssh.connect(Host("myboard"))
    (private_home / ".ssh" / "id_rsa").write_bytes(Path(real_server.key).read_bytes())
    assert says_hello(Host("myboard"))


def test_a_jump_host_is_gone_through_and_its_key_is_checked_too(
    real_server: Server, configured: Callable[..., None], private_home: Path
) -> None:
    host = real_server.host
    jump = f"Host jump\n HostName localhost\n Port {host.port}\n User {host.user}\n IdentityFile {host.key_file}\n"
    configured(f" ProxyJump jump\n IdentityFile {real_server.key}", before=jump)
    before = set(threading.enumerate())
    with pytest.raises(HostKeyUnknown, match="localhost"):
        ssh.connect(Host("myboard"))
    known = private_home / ".ssh" / "known_hosts"
    known.write_text(known.read_text() + known.read_text().replace("127.0.0.1", "localhost"))
    assert says_hello(Host("myboard"), own=None)
    with pytest.raises(Unreachable, match="jump host does not reach"):
        ssh.connect(Host("myboard", port=free_port()))
    until = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < until:
        time.sleep(0.02)
    assert not set(threading.enumerate()) - before


CARRIER = """
import os, socket, sys, threading
open(sys.argv[3], "w").write(str(os.getpid()))
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := there.recv(65536):
    os.write(1, data)
"""


def test_a_proxy_command_carries_the_connection_and_ends_with_it(
    real_server: Server, configured: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "carry.py").write_text(CARRIER)
    pid_file = tmp_path / "pid"
    configured(
        f" IdentityFile {real_server.key}\n"
        f' ProxyCommand {sys.executable} "{tmp_path / "carry.py"}" %h %p "{pid_file}" 3'
    )
    data = os.urandom(1_000_000)
    with closing(ssh.connect(Host("myboard"))) as transport:
        assert transport.run(Script("try", "cat", payload=data)).stdout == data
        assert transport.own_address() is None
        assert Path(f"/proc/{pid_file.read_text()}").exists()
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


def test_a_proxy_command_that_leads_nowhere_says_so_at_once(configured: Callable[..., None]) -> None:
    began = time.monotonic()
    for command in ("false", "no-such-command-here", "echo no SSH"):
        configured(f" ProxyCommand {command}")
        with pytest.raises(Unreachable, match="ProxyCommand"):
            ssh.connect(Host("myboard"))
    assert time.monotonic() - began < 5


def test_an_ssh_config_that_cannot_be_read_is_a_bad_file(configured: Callable[..., None]) -> None:
    configured("", before="Match nonsense\n")
    with pytest.raises(BadFile, match=r"ssh/config"):
        ssh.connect(Host("myboard"))
    configured("", before="Host *\n Port many\n")
    with pytest.raises(BadFile, match=r"ssh/config"):
        ssh.connect(Host("myboard"))


def test_a_key_with_a_passphrase_is_taken_from_the_agent_or_named(real_server: Server, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.write_bytes(Path(real_server.key).read_bytes())
    locked.chmod(0o600)
    locked.with_name("locked.pub").write_bytes(Path(real_server.key).with_suffix(".pub").read_bytes())
    keygen, agent, add = (needs(name, "openssh-client") for name in ("ssh-keygen", "ssh-agent", "ssh-add"))
    subprocess.run([keygen, "-q", "-p", "-N", "a secret", "-f", str(locked)], check=True, stdout=subprocess.DEVNULL)
    host = replace(real_server.host, key_file=str(locked))
    with pytest.raises(AuthenticationRefused, match="has a passphrase"):
        ssh.connect(host)
    address = tmp_path / "agent"
    with subprocess.Popen([agent, "-D", "-a", str(address)], stdout=subprocess.DEVNULL) as running:
        try:
            while not address.exists():
                time.sleep(0.01)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SSH_AUTH_SOCK", str(address))
                subprocess.run([add, "-q", real_server.key], check=True)
                assert says_hello(host)
                wrong = replace(host, key_file=str(make_key(tmp_path / "wrong")))
                with pytest.raises(AuthenticationRefused):  # the agent's other keys are not asked for
                    ssh.connect(wrong)
        finally:
            running.terminate()


@pytest.fixture
def by_certificate(server_folder: Path) -> Iterator[tuple[Server, Callable[..., Path]]]:
    """An OpenSSH that trusts an authority and no key, and what signs a key; as a user of the name that logs in."""
    authority = make_key(server_folder / "authority")
    trusts = f"TrustedUserCAKeys {authority}.pub"
    with openssh(server_folder, trusts) as server:
        (server_folder / "authorized_keys").write_text("")

        def sign(key: Path, valid: str = "+1h") -> Path:
            keygen, user = needs("ssh-keygen", "openssh-client"), str(server.host.user)
            words = [keygen, "-q", "-s", str(authority), "-I", "test", "-n", user, "-V", valid, f"{key}.pub"]
            subprocess.run(words, check=True)
            return key.with_name(f"{key.name}-cert.pub")

        yield server, sign


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_beside_its_key_logs_in(
    by_certificate: tuple[Server, Callable[..., Path]], tmp_path: Path, kind: str
) -> None:
    server, sign = by_certificate
    key = make_key(tmp_path / "key", kind)
    host = replace(server.host, key_file=str(key))
    with pytest.raises(AuthenticationRefused):
        ssh.connect(host)
    sign(key)
    assert says_hello(host)


def test_a_certificate_is_found_by_the_ssh_config_and_in_the_agent_and_one_that_expired_does_not_hide_its_key(
    by_certificate: tuple[Server, Callable[..., Path]], tmp_path: Path, private_home: Path
) -> None:
    server, sign = by_certificate
    key = make_key(tmp_path / "key")
    elsewhere = sign(key).rename(tmp_path / "elsewhere.pub")
    folder = private_home / ".ssh"
    folder.mkdir()
    (folder / "known_hosts").write_text(Path(str(server.host.known_hosts)).read_text())
    alias = f"Host myboard\n HostName 127.0.0.1\n Port {server.host.port}\n User {server.host.user}\n"
    (folder / "config").write_text(f"{alias} IdentityFile {key}\n")
    with pytest.raises(AuthenticationRefused):
        ssh.connect(Host("myboard"))
    (folder / "config").write_text(f"{alias} IdentityFile {key}\n CertificateFile {elsewhere}\n")
    assert says_hello(Host("myboard"))

    (folder / "config").write_text(alias)
    elsewhere.rename(tmp_path / "key-cert.pub")
    agent, add = needs("ssh-agent", "openssh-client"), needs("ssh-add", "openssh-client")
    address = tmp_path / "agent"
    with subprocess.Popen([agent, "-D", "-a", str(address)], stdout=subprocess.DEVNULL) as running:
        try:
            while not address.exists():
                time.sleep(0.01)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SSH_AUTH_SOCK", str(address))
                subprocess.run([add, "-q", str(key)], check=True)  # the certificate beside it goes along
                assert says_hello(Host("myboard"))
        finally:
            running.terminate()

    sign(key, "-2h:-1h")
    host = replace(server.host, key_file=str(key))
    with pytest.raises(AuthenticationRefused):
        ssh.connect(host)
    (server.folder / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    assert says_hello(host)


def test_a_login_that_is_refused_says_so(real_server: Server, tmp_path: Path) -> None:
    host = replace(real_server.host, key_file=str(make_key(tmp_path / "wrong")))
    with pytest.raises(AuthenticationRefused, match=f"no key of ours for {host.user}"):
        ssh.connect(host)


def test_without_any_key_nothing_is_asked_and_the_login_is_refused(real_server: Server) -> None:
    with pytest.raises(AuthenticationRefused, match="no key to log in with"):
        ssh.connect(replace(real_server.host, key_file=None))


def test_nothing_of_the_login_is_printed_or_logged_to_the_screen(
    real_server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AuthenticationRefused):
        ssh.connect(replace(real_server.host, key_file=str(make_key(tmp_path / "wrong"))))
    with echoing() as port, pytest.raises(Unreachable):
        ssh.connect(Host("127.0.0.1", "root", port))
    assert capfd.readouterr() == ("", "")


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
