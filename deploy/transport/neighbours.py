"""Knows whom this machine's kernel has talked to on its links lately: its neighbour table. Nobody is contacted for it.

Source: rtnetlink(7), RTM_GETNEIGH; the constants are of linux/netlink.h, linux/rtnetlink.h and linux/neighbour.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_NLMSG_ERROR, _NLMSG_DONE, _RTM_NEWNEIGH, _RTM_GETNEIGH = 2, 3, 28, 30
_REQUEST_DUMP = 0x1 | 0x300
_NDA_DST, _NDA_LLADDR = 1, 2
_THERE = 0x02 | 0x04 | 0x08 | 0x10 | 0x80
"""NUD_REACHABLE, STALE, DELAY, PROBE, PERMANENT: it has answered; not INCOMPLETE, FAILED, or NOARP."""

_HEADER, _NEIGHBOUR, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BxxxiHBB"), struct.Struct("=HH")
_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One address on a link, its zone included where it needs one (fe80::1%eth0)."""

    address: str
    mac: str
    interface: str


def neighbours() -> tuple[Neighbour, ...]:
    """The table, in the kernel's order; () where the kernel tells none (it is Linux's own way)."""
    if not hasattr(socket, "AF_NETLINK"):
        return ()
    found: list[Neighbour] = []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asked:
            asked.settimeout(_ANSWER_S)
            length = _HEADER.size + _NEIGHBOUR.size
            asked.send(_HEADER.pack(length, _RTM_GETNEIGH, _REQUEST_DUMP, 1, 0) + _NEIGHBOUR.pack(0, 0, 0, 0, 0))
            while not (ended := _read(asked.recv(1 << 18), found)):
                pass
    except OSError:
        return ()
    return tuple(found) if ended else ()


def _read(answer: bytes, found: list[Neighbour]) -> bool:
    """Add what one piece of the answer says; whether it was the last."""
    at = 0
    while at + _HEADER.size <= len(answer):
        length, kind, _, _, _ = _HEADER.unpack_from(answer, at)
        if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < _HEADER.size:
            return True
        if kind == _RTM_NEWNEIGH and (one := _parsed(answer[at + _HEADER.size : at + length])):
            found.append(one)
        at += -(-length // 4) * 4
    return not answer


def _parsed(message: bytes) -> Neighbour | None:
    _, index, state, _, _ = _NEIGHBOUR.unpack_from(message)
    said = dict(_attributes(message[_NEIGHBOUR.size :]))
    mac = said.get(_NDA_LLADDR, b"")
    if not state & _THERE or _NDA_DST not in said or not any(mac):
        return None
    try:
        address = ipaddress.ip_address(said[_NDA_DST])
        interface = socket.if_indextoname(index)
    except (ValueError, OSError):
        return None
    if address.is_multicast or address.is_loopback:
        return None
    zone = f"%{interface}" if address.version == 6 and address.is_link_local else ""
    return Neighbour(f"{address}{zone}", mac.hex(":"), interface)


def _attributes(text: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(text):
        length, kind = _ATTRIBUTE.unpack_from(text, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, text[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4
