"""A fleet for tests: hosts behind one real sshd on loopback addresses, each with its own prefix, port and bot."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from program import Ended, Slimdeploy
from servers import Server, free_port, openssh

from deploy.model.secret import Secret
from deploy.telegram.served import ServedBotApi


@dataclass
class SshFleet:
    """Hosts `names`, in an inventory file that a test may write anew with other settings."""

    run: Slimdeploy
    server: Server
    folder: Path
    names: tuple[str, ...]
    addresses: dict[str, str]
    ports: dict[str, int]
    bots: dict[str, ServedBotApi]
    host_key: str
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings of single hosts, beside or in place of the usual ones."""

    @property
    def inventory(self) -> Path:
        return self.folder / "fleet.toml"

    def prefix(self, name: str) -> Path:
        return self.folder / "hosts" / name

    def current(self, name: str) -> str:
        """The release that runs there, by its link; "" for none."""
        link = self.prefix(name) / "current"
        return link.readlink().name if link.is_symlink() else ""

    def pid(self, name: str) -> int:
        """Of the gateway that runs there."""
        return int((self.prefix(name) / "run" / "gateway.pid").read_text().split()[0])

    def tokens(self) -> list[str]:
        return [_token(number) for number in range(len(self.names))]

    def write(self, defaults: Mapping[str, Any] | None = None) -> None:
        """The inventory, in the order of the names."""
        usual = {
            "board": str(self.folder / "thisboard.toml"),
            "ssh_user": self.server.host.user,
            "ssh_port": self.server.host.port,
            "identity": self.server.key,
            "host_key": self.host_key,
            "service": "detached",
            "token_file": str(self.folder / "tokens" / "{name}"),
            "ca_file": str(self.folder / "tokens" / "{name}.pem"),
            **(defaults or {}),
        }
        lines = ["[defaults]", *_keys(usual), "[groups.desk]"]
        for name in self.names:
            settings = {
                "address": self.addresses[name],
                "groups": ["desk"],
                "prefix": str(self.prefix(name)),
                "port": str(self.ports[name]),
                "base_url": self.bots[name].base_url if name in self.bots else "https://127.0.0.1:9",
                **self.own.get(name, {}),
            }
            lines += [f"[hosts.{name}]", *_keys(settings)]
        self.inventory.write_text("\n".join(lines) + "\n")

    def __call__(self, command: str, *more: str, **options: Any) -> Ended:
        """A command of the fleet, from the folder in which the inventory is."""
        return self.run(f"fleet.{command}", *more, **options)

    def end_all(self) -> None:
        """End what was deployed: first what would start it again, each by the PID that it noted."""
        for prefix in (self.folder / "hosts").iterdir():
            (prefix / "run" / "guard").unlink(missing_ok=True)
            for name in ("supervisor.pid", "gateway.pid"):
                with suppress(OSError, ValueError, IndexError):
                    pid, ticks = (prefix / "run" / name).read_text().split()[:2]
                    if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19] == ticks:
                        os.kill(int(pid), signal.SIGKILL)


def _keys(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in settings.items()]


def _token(number: int) -> str:
    return f"{number + 1}234567890:" + "Ff" * 17 + "F"


@contextmanager
def ssh_fleet(
    run: Slimdeploy, folder: Path, names: tuple[str, ...], absent: tuple[str, ...] = ()
) -> Iterator[SshFleet]:
    """The fleet, and nothing deployed to it yet; `absent` are hosts at whose address nobody listens."""
    addresses = {name: f"127.0.{7 + number // 200}.{1 + number % 200}" for number, name in enumerate(names)}
    server_folder = folder / "server"
    server_folder.mkdir()
    (folder / "tokens").mkdir(mode=0o700)
    (folder / "hosts").mkdir()
    listening = [f"ListenAddress {addresses[name]}" for name in names if name not in absent]
    with ExitStack() as stack:
        server = stack.enter_context(openssh(server_folder, "MaxStartups 200", "MaxSessions 50", *listening))
        known = Path(str(server.host.known_hosts)).read_text().split()
        board = folder / "thisboard.toml"
        board.write_text('title = "this machine"\nprefix = "/nowhere"\n[target]\ngoarch = "host"\n')
        bots = {}
        for number, name in enumerate(names):
            token = folder / "tokens" / name
            token.write_text(_token(number))
            token.chmod(0o600)
            if name not in absent:
                bots[name] = stack.enter_context(ServedBotApi(Secret(_token(number).encode())))
                (folder / "tokens" / f"{name}.pem").write_bytes(bots[name].ca_pem)
        ports = {name: free_port() for name in names}
        made = SshFleet(run, server, folder, names, addresses, ports, bots, f"{known[1]} {known[2]}")
        made.write()
        stack.callback(made.end_all)
        yield made
