"""Knows which members a command over a fleet means, and how many at once; what is done to them is `deeds.py`'s."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.cli import options
from deploy.errors import UsageError
from deploy.fleet.inventory import COMMAND_LINE, read
from deploy.fleet.patterns import select
from deploy.model.fleet import Inventory, Member
from deploy.report.silent import Shows

USUAL = "fleet.toml"

MOST_AT_ONCE = 1000

HELP = {
    "inventory": "fleet.toml, an Ansible inventory or a folder of them, a list of hosts, a program that prints one, "
    "or user@host,user@host",
    "limit": "only these: a group, a host, a pattern such as 'riscv:!edge-007' (docs/inventory.md)",
    "at_once": "how many hosts are worked on at the same time",
}

ROLLOUT_HELP = "a rollout's id, the beginning of it, its last four digits, or `last` for the newest"

SOURCE = ("source", "package", "tags", "ldflags", "version", "command")
"""Flags that say what is built, the same for every host."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The members that are meant, of the inventory that they stand in."""

    inventory: Inventory
    members: tuple[Member, ...]
    at_once: int
    reference: str
    """What leads to the inventory again, from any folder."""


def choose(inventory: str, limit: str, at_once: str) -> Chosen:
    """What the flags say. Raises UsageError's leaves; no network is touched, a dynamic inventory's program is run."""
    if not inventory and not Path(USUAL).exists():
        raise UsageError(f"which fleet? there is no {USUAL} here: name an inventory with --inventory")
    found = read(inventory or USUAL)
    members = select(found, limit) if limit else found.members
    if not members:
        raise UsageError(f"{found.source} names no host" + (f" that {limit!r} means" if limit else ""))
    named = inventory or USUAL
    reference = str(Path(named).absolute()) if found.source != COMMAND_LINE else named
    return Chosen(found, members, options.count(at_once, "at-once", most=MOST_AT_ONCE), reference)


def show_notes(screen: Shows, chosen: Chosen) -> None:
    """What the inventory's reader has to be told, such as who was left out of it."""
    for note in chosen.inventory.notes:
        screen.say(f"note: {note}")


@dataclass(frozen=True, slots=True)
class Here:
    """Threads of this process, for members of every site."""

    executor: Executor

    def near(self, site: str) -> Executor:
        """The one that there is."""
        return self.executor


@contextmanager
def threads(at_once: int) -> Iterator[Here]:
    """As many threads as hosts are worked on at the same time. At Ctrl-C those that are under way come to their end."""
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="member") as executor:
        yield Here(executor)
