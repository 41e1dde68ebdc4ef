"""Knows an inventory as its files say it: who says what of a host or a group, and in which line.

Every format is read into this; what follows from it for each host is `resolving.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Value = str | bool | tuple[str, ...]

SLOTS = {
    f"{secret}_{kind}": secret for secret in ("token", "api_key", "password") for kind in ("file", "command", "keyring")
} | {"host_key": "host_keys"}
"""Keys that say the same thing in different ways: a host's token_file goes before its group's token_command."""


@dataclass(frozen=True, slots=True)
class Where:
    """A line of a file, counted from 1; 0 where there are no lines."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        """As compilers write it."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Given:
    """One value, and who says it."""

    key: str
    value: Value
    where: Where


@dataclass(slots=True)
class Faults:
    """Collects sentences, each with its line."""

    found: dict[tuple[Where, str], None] = field(default_factory=dict)

    def add(self, where: Where, sentence: str) -> None:
        """One more; the same one twice counts once."""
        self.found[where, sentence] = None

    def sentences(self) -> list[str]:
        """All of them, in the order of the lines; files in the order in which they first had a fault."""
        files = list(dict.fromkeys(where.file for where, _ in self.found))
        ordered = sorted(self.found, key=lambda each: (files.index(each[0].file), each[0].line))
        return [f"{where}: {sentence}" for where, sentence in ordered]


@dataclass(slots=True)
class Said:
    """What is said of one host, of one group, or of everybody. `by_slot` has one value for each of `SLOTS`."""

    by_slot: dict[str, Given] = field(default_factory=dict)

    def put(self, given: Given, faults: Faults) -> None:
        """One more value; of two for one key, the later counts. Two ways to say the same are a fault."""
        slot = SLOTS.get(given.key, given.key)
        before = self.by_slot.get(slot)
        if before and before.key != given.key:
            faults.add(given.where, f"{before.key} and {given.key} say the same thing: take one of them")
            return
        self.by_slot[slot] = given


@dataclass(slots=True)
class GroupDraft:
    """One group; `children` are groups in it, each with the line that says so."""

    name: str
    where: Where
    children: dict[str, Where] = field(default_factory=dict)
    said: Said = field(default_factory=Said)


@dataclass(slots=True)
class HostDraft:
    """One host; `groups` are those that it is in by itself."""

    name: str
    where: Where
    groups: dict[str, Where] = field(default_factory=dict)
    said: Said = field(default_factory=Said)


@dataclass(slots=True)
class Draft:
    """A whole inventory, in the order of its files."""

    source: str
    everybody: Said = field(default_factory=Said)
    groups: dict[str, GroupDraft] = field(default_factory=dict)
    hosts: dict[str, HostDraft] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    notes: list[str] = field(default_factory=list)
    """What its reader has to be told, though it is no fault."""
    untrusted: dict[str, str] = field(default_factory=dict)
    """Files that somebody else could have written, each with a clause about it (`files.trust_fault`)."""

    def all_said(self) -> Iterator[Said]:
        """What is said of everybody, of each group and of each host."""
        yield self.everybody
        for group in self.groups.values():
            yield group.said
        for host in self.hosts.values():
            yield host.said
