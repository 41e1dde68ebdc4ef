"""Knows who carries the deeds out: threads of this process, or the workers of a Dask cluster; and what those are sent.

Binaries and CA bundles travel, boards and settings too. What holds a secret (a token, a key, a config file, a login's
identity) stays a reference, which is read where the worker runs; docs/workers.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from deploy import catalogue
from deploy.cli import options
from deploy.cli.fleet.choosing import threads
from deploy.cli.fleet.deploying import wishes_of
from deploy.cli.fleet.order import Order
from deploy.cli.planning import source_of
from deploy.errors import BadCluster, UsageError
from deploy.fleet import parcels
from deploy.fleet.parcels import Parcel
from deploy.fleet.pool import Executors
from deploy.fleet.workers import Workers, connected, on_this_machine
from deploy.model.fleet import Member

HELP = {
    "scheduler": "spread the hosts over the workers of this Dask scheduler: tls://10.0.0.2:8786 (docs/workers.md)",
    "local_cluster": "spread the hosts over so many worker processes of this machine",
}

MOST_LOCAL = 64

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+):[0-9]{1,5}")

_READ_THERE = ("token_file", "api_key_file", "config_file", "identity")
"""Settings that name a file which holds a secret."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Which workers; neither for threads of this process."""

    scheduler: str = ""
    local: int = 0

    def __bool__(self) -> bool:
        return bool(self.scheduler or self.local)


HERE = Spread()


def spread_of(scheduler: str, local_cluster: str) -> Spread:
    """What the flags say. Raises UsageError, BadCluster where Dask is not installed."""
    if scheduler and local_cluster:
        raise UsageError("--scheduler and --local-cluster both say who carries it out: take one of them")
    if scheduler and not _ADDRESS.fullmatch(scheduler):
        raise UsageError(f"--scheduler takes tls://ADDRESS:PORT or tcp://ADDRESS:PORT, not {scheduler!r}")
    count = options.count(local_cluster, "local-cluster", most=MOST_LOCAL) if local_cluster else 0
    if (scheduler or count) and find_spec("distributed") is None:
        raise BadCluster("this installation can't talk to Dask's workers", extra="fleet")
    return Spread(scheduler, count)


class Force(Executors, Protocol):
    """Who carries deeds out."""

    @property
    def lost(self) -> bool:
        """Whether nobody is left who could, and no way to them."""
        ...

    def ready(self, members: Sequence[Member], order: Order) -> tuple[tuple[Member, ...], Order]:
        """Members and order as they are given to those who carry it out, who have what they need of this machine then.

        Raises UsageError's leaves, BadCluster among them.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Here:
    """Threads of this process."""

    executors: Executors
    lost: bool = False

    def near(self, site: str) -> Executor:
        """See Executors."""
        return self.executors.near(site)

    def ready(self, members: Sequence[Member], order: Order) -> tuple[tuple[Member, ...], Order]:
        """They have all of it."""
        return tuple(members), order


@dataclass(frozen=True, slots=True)
class _There:
    """The workers of a cluster."""

    workers: Workers

    @property
    def lost(self) -> bool:
        """See Force."""
        return self.workers.lost

    def near(self, site: str) -> Executor:
        """See Executors."""
        return self.workers.near(site)

    def ready(self, members: Sequence[Member], order: Order) -> tuple[tuple[Member, ...], Order]:
        """Send the binaries and the CA bundles to every worker; what names them leads there from then on."""
        found: dict[str, Parcel] = {}
        packed = tuple(replace(member, settings=_settings_there(member, found)) for member in members)
        boards = {name: catalogue.board(name) for name in {member.board for member in members if member.board}}
        content = [parcel for artifact in order.artifacts for parcel in parcels.of_artifact(artifact)]
        self.workers.deliver([*content, *found.values()])
        return packed, replace(order, carried=True, boards=boards, source=_source_there(order, members))


def _settings_there(member: Member, found: dict[str, Parcel]) -> dict[str, str | bool]:
    """The settings as they are right on a worker; `found` gets the files that have to go there, by their paths here."""
    settings = dict(member.settings)
    if ca_file := settings.get("ca_file"):
        path = str(options.existing_file(str(ca_file), "ca-file"))
        if path not in found:
            found[path] = parcels.of_file(Path(path))
        settings["ca_file"] = parcels.reference(found[path])
    for name in _READ_THERE:
        # A worker's folder is any; a path with ~ is in the home folder of whoever runs it.
        if (said := settings.get(name)) and not str(said).startswith("~"):
            settings[name] = str(Path(str(said)).absolute())
    return settings


def _source_there(order: Order, members: Sequence[Member]) -> dict[str, str]:
    """What is built, resolved here: the tree is on no worker."""
    if not order.source.get("source"):
        return dict(order.source)
    source = source_of(wishes_of(order, members[0]), ())
    return dict(order.source) | {"source": str(source.root), "package": source.package}


@contextmanager
def workforce(
    spread: Spread, members: Sequence[Member], at_once: int, say: Callable[[str], None] = lambda _: None
) -> Iterator[Force]:
    """Whoever carries it out, ready for work. Raises BadCluster, before any host is touched."""
    at_once = min(at_once, max(1, len(members)))
    if not spread:
        with threads(at_once) as executors:
            yield _Here(executors)
        return
    if spread.local:
        with on_this_machine(spread.local, -(-at_once // spread.local)) as workers:
            workers.check(members)
            yield _There(workers)
        return
    with connected(spread.scheduler) as workers:
        seen = workers.check(members)
        sites = ", ".join(sorted(seen.all_sites))
        say(
            f"{len(seen.threads)} {'worker' if len(seen.threads) == 1 else 'workers'} of {spread.scheduler}, "
            f"{sum(seen.threads.values())} hosts at once" + (f"; sites: {sites}" if sites else "")
        )
        if _is_open(spread.scheduler):
            say("note: without tls:// whoever reaches that port can make the workers do anything that they may do")
        yield _There(workers)


def _is_open(address: str) -> bool:
    parts = urlsplit(address)
    try:
        loopback = ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = parts.hostname == "localhost"
    return parts.scheme == "tcp" and not loopback


def refuse_unknown_boards(members: Sequence[Member]) -> None:
    """Raise UsageError where a host has no board: what it needs is built here, before a worker may ask the host."""
    nameless = [member.name for member in members if not member.board]
    if nameless:
        told = ", ".join(nameless[:5]) + (f" and {len(nameless) - 5} more" if len(nameless) > 5 else "")
        raise UsageError(
            f"the inventory has to say which board each host is, as this machine builds what the workers deploy: {told}"
        )
