"""Knows how those that were heard of on the local link become hosts, once each, and a fleet.toml of them."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deploy.fleet.resolving import name_fault
from deploy.model.display import clean
from deploy.model.host import Host
from deploy.transport.mdns import Announced
from deploy.transport.neighbours import Neighbour

_SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Heard:
    """One address and port where a board may be. `name` and `mac` are "" where nobody has told them."""

    address: str
    port: int = _SSH_PORT
    name: str = ""
    mac: str = ""
    by: tuple[str, ...] = ()
    """mdns, neighbours."""
    greeting: str = ""
    """What its SSH server says first; "" where none has answered, or nobody has asked yet."""

    @property
    def host(self) -> str:
        """As --host takes it."""
        return str(Host(self.address, port=None if self.port == _SSH_PORT else self.port))


def together(announced: Iterable[Announced], neighbours: Iterable[Neighbour]) -> tuple[Heard, ...]:
    """Each address and port once, what announced itself first.

    What has an IPv4 address is not asked by its IPv6 addresses as well: it is one board (by its MAC, or its name).
    """
    table = {each.address: each for each in neighbours}
    found: dict[tuple[str, int], Heard] = {}
    for each in announced:
        mac = table[each.address].mac if each.address in table else ""
        by = ("mdns", "neighbours") if mac else ("mdns",)
        found.setdefault((each.address, each.port), Heard(each.address, each.port, clean(each.name, 255), mac, by))
    known = {each.address for each in found.values()}
    for one in table.values():
        if one.address not in known:
            found[one.address, _SSH_PORT] = Heard(one.address, mac=one.mac, by=("neighbours",))
    by_v4 = {key for each in found.values() if _version(each.address) == 4 for key in (each.mac, each.name)} - {""}
    return tuple(each for each in found.values() if _version(each.address) == 4 or not {each.mac, each.name} & by_v4)


def _version(address: str) -> int:
    return ipaddress.ip_address(address.partition("%")[0]).version


def fleet_toml(heard: Sequence[Heard], day: str) -> str:
    """An inventory of them; `day` is when they were found. Which server answered stands in a comment."""
    lines = [
        f"# Found on the local link on {day}. Look at each host's key before you trust it: fleet.provision shows them."
    ]
    taken: set[str] = set()
    for each in heard:
        name = each.name if each.name and not name_fault(each.name) and each.name not in taken else each.address
        if name in taken:
            name = each.host
        name = name.replace("[", "").replace("]", "")
        taken.add(name)
        about = ", ".join(part for part in (each.greeting, each.mac, *each.by) if part)
        lines += ["", f"# {clean(about).replace(chr(10), ' ').replace(chr(9), ' ')}", f"[hosts.{_quoted(name)}]"]
        lines.append(f"address = {_quoted(each.host)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own."""
    return json.dumps(text, ensure_ascii=False)
