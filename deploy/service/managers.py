"""Knows which service managers there are, and which one keeps the gateway on a host: by what the host showed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from deploy.model.facts import HostFacts, Init
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.service.busybox_init import BusyBoxInit
from deploy.service.detached import Detached
from deploy.service.face import ServiceManager
from deploy.service.openrc import OpenRC
from deploy.service.procd import Procd
from deploy.service.systemd import Systemd
from deploy.service.texts import fits

MANAGERS: tuple[type[ServiceManager], ...] = (Systemd, OpenRC, Procd, BusyBoxInit, Detached)
NAMES = tuple(manager.name for manager in MANAGERS)


@dataclass(frozen=True, slots=True)
class Choice:
    """A manager's name, and why it is not the host's own init; "" where it is."""

    name: str
    reason: str = ""


def choose(facts: HostFacts, layout: Layout, wanted: str = "") -> Choice:
    """The manager for a host: the one that was `wanted`, else its own init's, else none. A stranger's init has none."""
    if wanted:
        return Choice(wanted)
    init = facts.init
    if init.name not in NAMES or init.name == Detached.name:
        return Choice(Detached.name, "its init is none that we know")
    if not facts.is_root:
        return Choice(Detached.name, f"this login is not root, so that {init.name} takes nothing from it")
    if not init.writable:
        return Choice(Detached.name, f"the folder of {init.name}'s services can't be written")
    if not fits(layout):
        return Choice(Detached.name, f"{layout.prefix} can't stand in a service of {init.name}")
    return Choice(init.name)


def manager_called(
    name: str,
    layout: Layout,
    limits: Limits,
    *,
    init: Init | None = None,
    arguments: tuple[str, ...] = ("gateway",),
    takes_config: bool = True,
    user: str = "",
) -> ServiceManager:
    """The manager of that name. Raises LookupError."""
    for manager in MANAGERS:
        if manager.name == name:
            if manager is Systemd:
                version = init.version if init else 0
                return Systemd(layout, limits, arguments, takes_config, user, version)
            return manager(layout, limits, arguments, takes_config, user)
    raise LookupError(name)


@lru_cache(maxsize=16)  # of a fleet's hosts, most have the same layout
def system_files(layout: Layout) -> tuple[str, ...]:
    """The files in a system's folders that any manager may have for `layout`."""
    if not fits(layout):
        return ()
    found = []
    for name in NAMES:
        texts = manager_called(name, layout, Limits()).own_texts()
        found += [text.path for text in texts if not text.path.startswith(f"{layout.prefix}/")]
    return tuple(dict.fromkeys(found))
