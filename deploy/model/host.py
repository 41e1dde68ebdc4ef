"""Knows how one reachable machine is written down and read: `user@address:port`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOST = re.compile(
    r"(?:(?P<user>[^@\s:/]+)@)?"
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<plain>[^\s:@/\[\]]+)|(?P<bare6>[0-9A-Fa-f]*(?::[0-9A-Fa-f.]*){2,}(?:%[\w.-]+)?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Host:
    """One reachable machine. `user` and `port` are None where the user left them to ~/.ssh/config or to the board.

    `key_file` and `known_hosts` are paths on the controller, set for hosts that bring their own (the loopback board);
    then no other key, agent or known_hosts file is asked.
    """

    address: str
    user: str | None = None
    port: int | None = None
    key_file: str | None = None
    known_hosts: str | None = None
    host_keys: tuple[str, ...] = ()
    """Pinned keys, as "ssh-ed25519 AAAA…" or as "SHA256:…"; with any of them no known_hosts file is asked."""

    def __str__(self) -> str:
        """As the user would write it; IPv6 addresses in brackets where a port follows."""
        user = f"{self.user}@" if self.user else ""
        if self.port is None:
            return f"{user}{self.address}"
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{user}{address}:{self.port}"


def parse_host(text: str) -> Host:
    """The host in `text`. Raises ValueError with a sentence that shows the form."""
    form = "write a host as user@address or user@address:port, an IPv6 address with a port as user@[address]:port"
    match = _HOST.fullmatch(text)
    if match is None or text.startswith("-"):
        raise ValueError(f"{text!r} is not a host: {form}")
    address = match["bracketed"] or match["plain"] or match["bare6"]
    if address.startswith("-"):
        raise ValueError(f"{text!r} is not a host: {form}")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"{text!r} is not a host: a port lies between 1 and 65535")
    return Host(address=address, user=match["user"], port=port)
