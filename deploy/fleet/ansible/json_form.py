"""Knows the JSON that inventory programs print for `--list`: groups, and what is known of each host in `_meta`.

Source: Ansible's developer guide, "Developing dynamic inventory", and its plugin `script`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deploy.fleet.ansible.told import Subject, Told
from deploy.fleet.ansible.variables import matters
from deploy.fleet.draft import Where
from deploy.model.fleet import EVERYBODY
from deploy.toml_keys import shown

META = "_meta"

_PARTS = ("hosts", "vars", "children")

AskHost = Callable[[str], Any]
"""What the program prints for `--host NAME`, decoded."""


def read(table: Mapping[str, Any], source: str, told: Told, ask_host: AskHost | None = None) -> None:
    """Add what `table` says; every fault goes to the draft's, with the path that it is about.

    Where there is no `_meta.hostvars`, each host is asked for with `ask_host`, as Ansible does.
    """
    reader = _Reader(source, told)
    for name, group in table.items():
        if name != META:
            reader.group(name, group)
    meta = table.get(META, {})
    known = meta.get("hostvars") if isinstance(meta, dict) else meta
    if known is not None and not isinstance(known, dict):
        told.fault(Where(f"{source}: {META}"), "hostvars has to be an object in { }")
        return
    for name in reader.hosts:
        if known is not None:
            reader.host(name, known.get(name, {}), f"{META}.hostvars.{name}")
        elif ask_host is not None:
            reader.host(name, ask_host(name) or {}, f"--host {name}")


class _Reader:
    def __init__(self, source: str, told: Told) -> None:
        self._source, self._told = source, told
        self.hosts: dict[str, Subject] = {}

    def _where(self, path: str) -> Where:
        return Where(f"{self._source}: {path}")

    def group(self, name: str, raw: Any) -> None:
        where = self._where(name)
        if isinstance(raw, list):  # the oldest form: nothing but its hosts
            raw = {"hosts": raw}
        if not isinstance(raw, dict):
            self._told.fault(where, f"a group has to be an object with hosts, vars or children, not {shown(raw)}")
            return
        if raw and not any(part in raw for part in _PARTS):
            raw = {"hosts": [name], "vars": raw}  # as Ansible takes it: a host of that name alone
        group = self._told.group(name, where)
        for child in self._names(raw, "children", name):
            if child != EVERYBODY:
                self._told.group(child, where)
            group.links.setdefault(child, where)
        variables = raw.get("vars", {})
        if not isinstance(variables, dict):
            self._told.fault(where, "vars has to be an object in { }")
            variables = {}
        for key, value in variables.items():
            self._told.group_variable(group, key, value, self._where(f"{name}.vars.{key}"))
        for host in self._names(raw, "hosts", name):
            # No ranges here: a name is a name.
            for made in self._told.add_hosts(host, name, where, as_it_is=True):
                self.hosts[made.name] = made

    def _names(self, raw: Mapping[str, Any], part: str, group: str) -> list[str]:
        found = raw.get(part) or []
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            self._told.fault(self._where(group), f"{part} has to be a list of names")
            return []
        return found

    def host(self, name: str, raw: Any, path: str) -> None:
        if not isinstance(raw, dict):
            self._told.fault(self._where(path), "the variables of a host have to be an object in { }")
            return
        for key, value in raw.items():
            if matters(key):
                self.hosts[name].put(key, value, self._where(f"{path}.{key}"))
