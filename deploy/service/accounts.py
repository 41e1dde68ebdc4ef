"""Knows which user a gateway runs as on a host, and why it is not one of its own; becoming it is `own_user.py`'s."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.model.facts import HostFacts
from deploy.model.layout import Layout
from deploy.service.texts import service_name

ROOT = "root"
"""What a user says who wants none of its own."""

NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
"""What useradd(8) takes on every distribution."""

FIRST_FREE_PORT = 1024
"""A lower one only root may listen on (ip(7), ip_unprivileged_port_start)."""

_OWNERLESS = {"vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk"}


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a gateway is given; "" for the login's own, and why."""

    name: str = ""
    reason: str = ""


def default_name(layout: Layout) -> str:
    """As the service is called, where a user can be called so."""
    name = service_name(layout)
    return name if NAME.fullmatch(name) else "picoclaw"


def choose_account(
    facts: HostFacts, layout: Layout, *, wanted: str = "", port: int, is_gateway: bool, on_this_machine: bool
) -> Account:
    """The user for a host: the one that was `wanted`; else, where the login is root, one of its own.

    A reason stands with every gateway that stays root, and with a wish that can't be granted.
    """
    if wanted == ROOT:
        return Account()
    if not facts.is_root:
        return Account("", "only root can start it as another user" if wanted else "")
    if on_this_machine:
        return Account("", "this machine gets no users for a trial" if wanted else "")
    if not wanted and not is_gateway:
        return Account("", "what this program needs of the board is not known")
    own = facts.own_user
    if facts.place.file_system in _OWNERLESS:
        return Account("", f"{facts.place.file_system}, on which {layout.prefix} lies, keeps no owners")
    if is_gateway and port < FIRST_FREE_PORT:
        return Account("", f"port {port} is root's")
    if not own.exists and not own.can_be_made:
        return Account("", "its /etc/passwd can't be written")
    if not own.way:
        return Account("", "it has nothing that starts a program as another user")
    if not own.reaches:
        return Account("", f"no other user may reach {layout.prefix}")
    return Account(wanted or default_name(layout))
