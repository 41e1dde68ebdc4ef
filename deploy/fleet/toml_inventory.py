"""Knows slimdeploy's own inventory, `fleet.toml`, which docs/inventory.md explains.

What follows from it for each host is `resolving.py`'s.
"""

from __future__ import annotations

import tomllib
from typing import Any

from deploy.fleet.draft import Draft, Faults, Given, GroupDraft, HostDraft, Said, Where
from deploy.fleet.ranges import expand
from deploy.fleet.resolving import address_fault, group_fault, name_fault
from deploy.fleet.settings import KEYS, checked, fault_of_key
from deploy.fleet.toml_lines import lines_of
from deploy.model.fleet import EVERYBODY, UNGROUPED
from deploy.toml_keys import near, shown

_TABLES = ("defaults", "groups", "hosts")
_HOST_KEYS = KEYS | {"address", "groups"}

_Path = tuple[str, ...]


def read(text: str, file: str) -> Draft:
    """The inventory in `text`; every fault goes to the draft's."""
    draft = Draft(file)
    try:
        table = tomllib.loads(text)
        lines = lines_of(text)
    except tomllib.TOMLDecodeError as error:
        draft.faults.add(Where(file), f"it is not TOML: {error}")
        return draft
    except ValueError:
        # Python's int() takes 4,300 digits at most (sys.get_int_max_str_digits), and tomllib lets that through.
        draft.faults.add(Where(file), "a number in it has too many digits")
        return draft
    except RecursionError:
        draft.faults.add(Where(file), "its lists or tables lie too deep in one another")
        return draft
    _Reader(draft, lines).read(table)
    return draft


def read_table(table: dict[str, Any], source: str) -> Draft:
    """As `read`, of what a program printed in JSON: no lines are known of it, and a fault names the key instead."""
    draft = Draft(source)
    _Reader(draft, {}).read(table)
    return draft


class _Reader:
    def __init__(self, draft: Draft, lines: dict[_Path, int]) -> None:
        self._draft, self._lines = draft, lines

    @property
    def _faults(self) -> Faults:
        return self._draft.faults

    def read(self, table: dict[str, Any]) -> None:
        for key in table:
            if key not in _TABLES:
                fault = fault_of_key(key)
                hint = ": write it under [defaults]" if not fault else near(key, _TABLES)
                sentence = f"{shown(key)} is no table of an inventory ([defaults], [groups.NAME], [hosts.NAME]){hint}"
                self._faults.add(self._where((key,)), sentence)
        self._say(("defaults",), self._table(("defaults",), table.get("defaults", {})), self._draft.everybody)
        for name, said in self._table(("groups",), table.get("groups", {})).items():
            self._group(name, said)
        for name, said in self._table(("hosts",), table.get("hosts", {})).items():
            self._hosts(name, {"address": said} if isinstance(said, str) else said)

    def _group(self, name: str, raw: object) -> None:
        path = ("groups", name)
        where = self._where(path)
        if name in (EVERYBODY, UNGROUPED):
            self._faults.add(where, f"every inventory has a group {name}: what holds for all stands in [defaults]")
        elif fault := group_fault(name):
            self._faults.add(where, fault)
        table = self._table(path, raw)
        group = GroupDraft(name, where, dict.fromkeys(self._names(path, table), self._where((*path, "groups"))))
        self._say(path, table, group.said, "groups")
        self._draft.groups[name] = group

    def _hosts(self, pattern: str, raw: object) -> None:
        """One host, or those of a range, which share what is said of them."""
        path = ("hosts", pattern)
        where = self._where(path)
        table = self._table(path, raw)
        groups = dict.fromkeys(self._names(path, table), self._where((*path, "groups")))
        said = Said()
        self._say(path, table, said, "groups", "address")
        names, addresses = self._expanded(path, pattern), self._addresses(path, table)
        at = self._where((*path, "address"))
        if addresses and names and len(addresses) != len(names):
            count = f"{len(addresses):,} addresses for {len(names):,} hosts"
            self._faults.add(at, f"{count}: the ranges of name and address have to be of one length")
            addresses = ()
        for number, name in enumerate(names):
            before = self._draft.hosts.get(name)
            if fault := name_fault(name):
                self._faults.add(where, fault)
            elif before:
                self._faults.add(where, f"there are two hosts called {name}: see {before.where}")
            elif name in self._draft.groups:
                self._faults.add(
                    where, f"a host and a group are both called {name}: see {self._draft.groups[name].where}"
                )
            else:
                own = Said(dict(said.by_slot))
                if addresses:
                    own.put(Given("address", addresses[number], at), self._faults)
                self._draft.hosts[name] = HostDraft(name, where, dict(groups), own)

    def _expanded(self, path: _Path, text: str) -> tuple[str, ...]:
        try:
            return expand(text)
        except ValueError as error:
            self._faults.add(self._where(path), str(error))
            return ()

    def _addresses(self, path: _Path, table: dict[str, Any]) -> tuple[str, ...]:
        path = (*path, "address")
        text = table.get("address", "")
        if not isinstance(text, str):
            self._faults.add(self._where(path), f"address has to be text in quotes, not {shown(text)}")
            return ()
        found = self._expanded(path, text) if "address" in table else ()
        for each in found[:1]:  # the others differ by a number only
            if fault := address_fault(each):
                self._faults.add(self._where(path), fault)
                return ()
        return found

    def _say(self, path: _Path, table: dict[str, Any], said: Said, *others: str) -> None:
        for key, raw in table.items():
            if key in others:
                continue
            where = self._where((*path, key))
            if key == "address" or (key == "groups" and path == ("defaults",)):
                self._faults.add(where, f"{key} belongs to a host, not here" if key == "address" else _NOT_IN_DEFAULTS)
            elif fault := fault_of_key(key):
                self._faults.add(where, fault)
            else:
                try:
                    said.put(Given(key, checked(key, raw), where), self._faults)
                except ValueError as error:
                    self._faults.add(where, f"{key} {error}")

    def _names(self, path: _Path, table: dict[str, Any]) -> tuple[str, ...]:
        """The names in `groups`; a single one may stand without a list."""
        raw = table.get("groups", [])
        names = [raw] if isinstance(raw, str) else raw
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._faults.add(self._where((*path, "groups")), 'groups has to be a list of names, such as ["riscv"]')
            return ()
        return tuple(dict.fromkeys(names))

    def _table(self, path: _Path, raw: object) -> dict[str, Any]:
        if isinstance(raw, dict):
            return raw
        self._faults.add(self._where(path), f"{shown(path[-1])} has to be a table, written [{'.'.join(path)}]")
        return {}

    def _where(self, path: _Path) -> Where:
        """The line of `path`, or of what it stands in."""
        for length in range(len(path), 0, -1):
            if line := self._lines.get(path[:length]):
                return Where(self._draft.source, line)
        return Where(self._draft.source if self._lines else f"{self._draft.source}: {'.'.join(path)}")


_NOT_IN_DEFAULTS = "groups does not belong to [defaults]: everybody is in the group all"
