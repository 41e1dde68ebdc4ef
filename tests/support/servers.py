"""Real SSH servers on 127.0.0.1 for the tests: OpenSSH's sshd, and Dropbear, as most boards have it without SFTP."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.model.host import Host

PLACES = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", os.environ.get("PATH", os.defpath)))

SFTP_SERVER = Path("/usr/lib/sftp-server")
"""What Debian's Dropbear starts for the subsystem (SFTPSERVER_PATH in its default_options.h)."""

DROPBEAR_WITH_SFTP = "Dropbear with SFTP"


@dataclass(frozen=True)
class Server:
    """A server that listens, and what logs in to it. `home` is the login's home folder, a part of the test's own."""

    kind: str
    host: Host
    home: Path
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """As --host takes it."""
        return f"{self.host.user}@127.0.0.1:{self.host.port}"

    @property
    def key(self) -> str:
        """As --identity takes it."""
        assert self.host.key_file is not None
        return self.host.key_file


def needs(program: str, package: str) -> str:
    """The program's path; skips the test where there is none, with the remedy."""
    found = shutil.which(program, path=PLACES)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: apt-get install {package})")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    keygen = needs("ssh-keygen", "openssh-client")
    subprocess.run([keygen, "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)], check=True)
    return path


@contextmanager
def serving(kind: str, command: list[str], folder: Path, port: int, host_public: str) -> Iterator[Server]:
    """Run the server until the `with` block ends. Its host key tells it from whoever else might take the port."""
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {host_public}\n")
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_until_it_listens(process, port, log)
        host = Host("127.0.0.1", getpass.getuser(), port, str(folder / "user_key"), str(known_hosts))
        yield Server(kind, host, folder / "home", folder, process)
    finally:
        # Its sessions are its children, each in a session of its own; what a script left behind is theirs.
        for pid in reversed(descendants(process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(10)


def descendants(pid: int) -> list[int]:
    """A process that we started and all that came from it, parents first (proc_pid_stat(5): the parent is field 4)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"the server does not listen: {log.read_text()}")


def prepare(folder: Path) -> str:
    """Make keys and a home folder; the user's public key."""
    (folder / "home").mkdir()
    return make_key(folder / "user_key").with_suffix(".pub").read_text()


@contextmanager
def openssh(folder: Path, *more: str) -> Iterator[Server]:
    """OpenSSH's sshd with a config of its own; `more` are further lines of it."""
    sshd = needs("sshd", "openssh-server")
    public = prepare(folder)
    host_key = make_key(folder / "host_key")
    (folder / "authorized_keys").write_text(public)
    port = free_port()
    lines = (
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {host_key}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        f"PidFile {folder / 'sshd.pid'}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "MaxStartups 50",
        # What a board's login finds: a home folder of its own, and no shell start-up files of this machine's user.
        f'SetEnv HOME="{folder / "home"}"',
        "Subsystem sftp internal-sftp",
        *more,
    )
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, as root, drops its privileges to
    command = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
    with serving("OpenSSH", command, folder, port, host_key.with_suffix(".pub").read_text().strip()) as server:
        yield server


@contextmanager
def dropbear(folder: Path, *, sftp: bool = False) -> Iterator[Server]:
    """Dropbear. It reads ~/.ssh/authorized_keys of the password file's home folder, so it gets a mount namespace in
    which a folder of the test lies over that; and over the SFTP server that it would start, nothing, unless `sftp`."""
    program, keygen = needs("dropbear", "dropbear-bin"), needs("dropbearkey", "dropbear-bin")
    unshare = needs("unshare", "util-linux")
    if subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this login may not make a mount namespace, which keeps Dropbear from your ~/.ssh (run as root)")
    if sftp and not SFTP_SERVER.exists():
        pytest.skip(f"{SFTP_SERVER} is not installed (Debian: apt-get install openssh-sftp-server)")
    public = prepare(folder)
    home = folder / "home"
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh" / "authorized_keys").write_text(public)
    (home / ".ssh" / "authorized_keys").chmod(0o600)
    home.chmod(0o700)
    made = subprocess.run(
        [keygen, "-t", "ed25519", "-f", str(folder / "host_key")], capture_output=True, text=True, check=True
    )
    host_public = next(line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519"))
    port = free_port()
    real_home = pwd.getpwuid(os.getuid()).pw_dir
    hidden = "" if sftp or not SFTP_SERVER.exists() else f"mount --bind /dev/null {SFTP_SERVER} && "
    served = f'{hidden}mount --bind "$1" "$2" && shift 2 && exec "$@"'
    server_command = [program, "-F", "-E", "-s", "-r", str(folder / "host_key"), "-p", f"127.0.0.1:{port}"]
    command = [unshare, "--mount", "sh", "-c", served, "sh", str(home), real_home, *server_command]
    command += ["-P", str(folder / "dropbear.pid")]
    with serving(DROPBEAR_WITH_SFTP if sftp else "Dropbear", command, folder, port, host_public) as server:
        yield server
