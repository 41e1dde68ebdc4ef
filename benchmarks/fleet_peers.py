"""What the fleet benchmark is held against: pyinfra with two files that have not changed, and bare SSH handshakes.

As a program it is the handshakes: `fleet_peers.py TARGETS AT_ONCE` connects to every address in the JSON file TARGETS,
authenticates and closes, so many at once, by Paramiko alone, with nothing between it and the sockets.
"""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet_hosts import Hosts


def pyinfra_command(hosts: Hosts, count: int, pyinfra: Path, parallel: int) -> list[str]:
    """Two `files.put` a host, for the first `count`: the gateway's binary and a config, into a folder of its own.

    0 for `parallel` leaves it to pyinfra, which then takes all hosts at once.
    """
    folder = hosts.folder / f"pyinfra-{count}"
    if not folder.exists():
        folder.mkdir()
        binary = next(hosts.prefix(0).glob("releases/*/picoclaw"))
        shutil.copy(binary, folder / "binary")
        (folder / "config").write_text("{}\n")
        usual = {
            "ssh_user": getpass.getuser(),
            "ssh_port": hosts.ssh_port,
            "ssh_key": str(hosts.user_key),
            "ssh_known_hosts_file": str(hosts.folder / "known_hosts"),
            "ssh_look_for_keys": False,
            "ssh_allow_agent": False,
        }
        addresses = [hosts.address(number) for number in range(count)]
        listed = [(address, usual | {"folder": str(hosts.folder / "theirs" / address)}) for address in addresses]
        (hosts.folder / "known_hosts").write_text(
            "".join(f"[{hosts.address(number)}]:{hosts.ssh_port} {hosts.host_key}\n" for number in range(hosts.count))
        )
        (folder / "inventory.py").write_text(f"boards = {listed!r}\n")
        (folder / "put.py").write_text(
            "from pyinfra import host\n"
            "from pyinfra.operations import files\n"
            "files.put(name='binary', src='binary', dest=host.data.folder + '/binary', mode='755')\n"
            "files.put(name='config', src='config', dest=host.data.folder + '/config', mode='600')\n"
        )
    limit = ["--parallel", str(parallel)] if parallel else []
    return [str(pyinfra), "-y", *limit, "inventory.py", "put.py"]


def handshakes_command(hosts: Hosts, count: int, at_once: int) -> list[str]:
    """This file as a program."""
    targets = hosts.folder / f"targets-{count}.json"
    where = [[hosts.address(number), hosts.ssh_port] for number in range(count)]
    targets.write_text(
        json.dumps({"hosts": where, "user": getpass.getuser(), "key": str(hosts.user_key), "host_key": hosts.host_key})
    )
    return [sys.executable, str(Path(__file__).resolve()), str(targets), str(at_once)]


def main() -> int:
    """Shake hands with everybody."""
    from paramiko import PKey, Transport

    asked = json.loads(Path(sys.argv[1]).read_text())
    key = PKey.from_path(asked["key"])

    def shake(where: list[object]) -> None:
        sock = socket.create_connection((str(where[0]), int(str(where[1]))), timeout=60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = Transport(sock)
        transport.banner_timeout = transport.auth_timeout = 120
        transport.start_client(timeout=120)
        offered = transport.get_remote_server_key()
        if f"{offered.get_name()} {offered.get_base64()}" != asked["host_key"]:
            raise SystemExit(f"another host key at {where}")
        transport.auth_publickey(asked["user"], key)
        transport.close()

    with ThreadPoolExecutor(max_workers=int(sys.argv[2])) as executor:
        done = sum(1 for _ in executor.map(shake, asked["hosts"]))
    print(json.dumps({"handshakes": done}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
