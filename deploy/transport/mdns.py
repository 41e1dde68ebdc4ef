"""Knows who says on the local link, by multicast DNS, that it has an SSH server; the only module that knows zeroconf.

Sources: RFC 6762 (multicast DNS), RFC 6763 (service discovery). An answer is a stranger's word: an address in it that
is on none of this machine's own links is passed over.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from deploy.errors import Unsupported

SERVICES = ("_ssh._tcp.local.", "_sftp-ssh._tcp.local.", "_workstation._tcp.local.")
"""Who says that it is a workstation (Avahi does, where it is told to) mostly has an SSH server too."""

_SSH_PORT = 22
_DETAILS_MS = 2000
_MOST = 4096
"""Answers that are kept, whoever sends more."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One address of a host that has answered."""

    name: str
    """Without .local."""
    address: str
    port: int


def is_there() -> bool:
    """Whether the library is installed."""
    return find_spec("zeroconf") is not None


def announced(seconds: float, interfaces: Sequence[str] = ()) -> tuple[Announced, ...]:
    """Who answers within `seconds` on the links of `interfaces`, of all without any.

    Raises Unsupported where the library is missing, or an interface has no address.
    """
    if not is_there():
        raise Unsupported("this installation can't ask by multicast DNS: it lacks zeroconf")
    import ifaddr
    import zeroconf

    links = _links(ifaddr.get_adapters(), interfaces)
    heard: dict[tuple[str, str], None] = {}

    def on_change(service_type: str, name: str, state_change: Any, **_: Any) -> None:
        if state_change is not zeroconf.ServiceStateChange.Removed and len(heard) < _MOST:
            heard[service_type, name] = None

    found: dict[Announced, None] = {}
    chosen: Any = [address for _, address, _ in links] if interfaces else zeroconf.InterfaceChoice.All
    with zeroconf.Zeroconf(interfaces=chosen) as asked:
        browser = zeroconf.ServiceBrowser(asked, list(SERVICES), handlers=[on_change])
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            time.sleep(0.1)
        browser.cancel()
        details_until_s = time.monotonic() + seconds
        for service_type, name in list(heard):
            left_s = details_until_s - time.monotonic()
            if left_s <= 0:
                break
            info = asked.get_service_info(service_type, name, timeout=min(_DETAILS_MS, int(left_s * 1000) + 1))
            if info is not None:
                found |= dict.fromkeys(_of(info, service_type, links))
    return tuple(found)


def _of(info: Any, service_type: str, links: Sequence[tuple[str, str, Any]]) -> Iterator[Announced]:
    name = str(info.server or "").rstrip(".").removesuffix(".local")
    port = int(info.port or _SSH_PORT) if "ssh" in service_type else _SSH_PORT
    for address in info.parsed_scoped_addresses():
        if (on_link := _on_link(str(address), links)) and 0 < port < 65536:
            yield Announced(name, on_link, port)


def _links(adapters: Any, interfaces: Sequence[str]) -> list[tuple[str, str, Any]]:
    """(interface, own address, network) of every address that this machine has there."""
    found = []
    for adapter in adapters:
        if interfaces and adapter.name not in interfaces:
            continue
        for each in adapter.ips:
            own = each.ip if isinstance(each.ip, str) else each.ip[0]
            network = ipaddress.ip_network(f"{own.partition('%')[0]}/{each.network_prefix}", strict=False)
            if not network.is_loopback:
                found.append((str(adapter.name), own, network))
    if missing := sorted(set(interfaces) - {name for name, _, _ in found}):
        raise Unsupported(f"there is no interface {missing[0]} with an address here")
    return found


def _on_link(text: str, links: Sequence[tuple[str, str, Any]]) -> str:
    """The address, with its zone where it needs one; "" for one of this machine itself, and for one elsewhere."""
    bare, _, zone = text.partition("%")
    address = ipaddress.ip_address(bare)
    on = [name for name, _, network in links if address.version == network.version and address in network]
    if not on or any(bare == own.partition("%")[0] for _, own, _ in links):
        return ""
    if address.version == 6 and address.is_link_local:
        name = zone if zone in on else next((each for each in on if zone.isdigit()), on[0])
        return f"{bare}%{name}"
    return bare
