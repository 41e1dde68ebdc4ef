"""Hosts for the fleet benchmark: real sshds on many addresses of 127/8, each host with a prefix, a port and a bot.

All of it is this machine: what a board would do on its own CPU, sshd and its shells, is done on the controller's here.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ADDRESSES_A_SERVER = 16
"""sshd listens on no more (MAX_LISTEN_SOCKS in its sshd.c)."""

PORTS_FROM, PORTS_TO = 10_000, 32_000
"""The gateways' health ports come from here: Linux gives the ports above to whoever asks for any."""

_PLACES = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", os.environ.get("PATH", os.defpath)))


@dataclass
class Hosts:
    """The first of them may be taken alone: `inventory(50)`."""

    folder: Path
    count: int
    ssh_port: int
    host_key: str
    bots_port: int
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)

    @property
    def user_key(self) -> Path:
        """What logs in everywhere."""
        return self.folder / "user_key"

    def name(self, number: int) -> str:
        """The host's name in the inventory."""
        return f"host-{number:04d}"

    def address(self, number: int) -> str:
        """A loopback address of its own."""
        return f"127.1.{number // 250}.{1 + number % 250}"

    def prefix(self, number: int) -> Path:
        """Where its releases lie."""
        return self.folder / "hosts" / self.name(number)

    def inventory(self, count: int) -> Path:
        """A fleet.toml of the first `count`."""
        path = self.folder / f"fleet-{count}.toml"
        usual = {
            "board": str(self.folder / "thismachine.toml"),
            "ssh_user": getpass.getuser(),
            "ssh_port": self.ssh_port,
            "identity": str(self.user_key),
            "host_key": self.host_key,
            "service": "detached",
            "user": "root",  # no user of this machine's is made for a trial
            "token_file": str(self.folder / "tokens" / "{name}"),
            "ca_file": str(self.folder / "ca.pem"),
            "base_url": f"https://127.0.0.1:{self.bots_port}",
        }
        lines = ["[defaults]", *_keys(usual), "[groups.all-of-them]"]
        for number in range(count):
            own = {"address": self.address(number), "prefix": str(self.prefix(number)), "port": str(self.ports[number])}
            lines += [f"[hosts.{self.name(number)}]", *_keys(own | {"groups": ["all-of-them"]})]
        path.write_text("\n".join(lines) + "\n")
        return path

    def cpu_s(self) -> float:
        """What the servers and all that ran in their sessions have used of the CPUs so far."""
        ticks = 0
        for server in self.servers:
            fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, and those of children that ended: proc_pid_stat(5)
        return ticks / os.sysconf("SC_CLK_TCK")

    def processes(self) -> int:
        """How many gateways run, by their pid files."""
        return sum(_noted(self.prefix(number) / "run" / "gateway.pid") is not None for number in range(self.count))

    def end_gateways(self) -> None:
        """End what was deployed: each supervisor by its own pid file, which ends its gateway."""
        noted = [
            pid
            for number in range(self.count)
            for kind in ("supervisor", "gateway")
            if (pid := _noted(self.prefix(number) / "run" / f"{kind}.pid")) is not None
        ]
        for pid in noted:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        until_s = time.monotonic() + 30
        while time.monotonic() < until_s and any(Path(f"/proc/{pid}").exists() for pid in noted):
            time.sleep(0.2)


def _keys(settings: dict[str, object]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in settings.items()]


def _noted(path: Path) -> int | None:
    """The process in a pid file, only while that very one is there."""
    try:
        pid, ticks = path.read_text().split()
        found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, ValueError, IndexError):
        return None
    return int(pid) if found == ticks else None


@contextmanager
def hosts(folder: Path, count: int) -> Iterator[Hosts]:
    """`count` hosts, nothing deployed to them yet. At the end their gateways, servers and the bots are ended."""
    needed = {name: shutil.which(name, path=_PLACES) for name in ("sshd", "ssh-keygen")}
    if missing := [name for name, path in needed.items() if path is None]:
        sys.exit(f"{' and '.join(missing)} is not installed (Debian: apt-get install openssh-server openssh-client)")
    for name in ("user_key", "host_key"):
        subprocess.run(
            [str(needed["ssh-keygen"]), "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(folder / name)],
            check=True,
        )
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    for name in ("home", "hosts", "tokens"):
        (folder / name).mkdir(mode=0o700)
    for number in range(count):
        token = folder / "tokens" / f"host-{number:04d}"
        token.write_text(f"{1_000_000_000 + number}:" + "Ff" * 17 + "F")
        token.chmod(0o600)
    (folder / "thismachine.toml").write_text('title = "this machine"\nprefix = "/nowhere"\n[target]\ngoarch = "host"\n')
    bots = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fleet_bots.py")), str(folder)], stdout=subprocess.PIPE
    )
    assert bots.stdout is not None
    public = " ".join((folder / "host_key.pub").read_text().split()[:2])
    made = Hosts(folder, count, _free_port(), public, int(bots.stdout.readline()))
    made.ports = _free_ports(count)
    try:
        for first in range(0, count, ADDRESSES_A_SERVER):
            numbers = range(first, min(count, first + ADDRESSES_A_SERVER))
            made.servers.append(_server(str(needed["sshd"]), made, numbers))
        for number in range(0, count, ADDRESSES_A_SERVER):
            _wait_for(made.address(number), made.ssh_port)
        yield made
    finally:
        made.end_gateways()
        for process in (*made.servers, bots):
            process.terminate()
        for process in (*made.servers, bots):
            process.wait(10)


def _server(sshd: str, made: Hosts, numbers: Sequence[int]) -> subprocess.Popen[bytes]:
    folder = made.folder
    lines = (
        f"Port {made.ssh_port}",
        *(f"ListenAddress {made.address(number)}" for number in numbers),
        f"HostKey {folder / 'host_key'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "MaxStartups 1000",  # its usual 10:30:100 drops logins at random where many begin at once
        f'SetEnv HOME="{folder / "home"}"',
        "Subsystem sftp internal-sftp",
    )
    config = folder / f"sshd_config-{numbers[0]}"
    config.write_text("\n".join(lines) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, as root, drops its privileges to
    with (folder / "sshd.log").open("ab") as log:
        return subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in range(PORTS_FROM, PORTS_TO):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    sys.exit(f"there are no {count} free ports between {PORTS_FROM} and {PORTS_TO}")


def _wait_for(address: str, port: int) -> None:
    until_s = time.monotonic() + 20
    while time.monotonic() < until_s:
        with suppress(OSError), socket.create_connection((address, port), timeout=5) as connection:
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    sys.exit(f"no SSH server came up at {address}:{port}")
