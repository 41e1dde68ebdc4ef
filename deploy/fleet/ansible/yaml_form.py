"""Knows how Ansible's YAML inventories are written: groups with `hosts`, `vars` and `children`, each a mapping."""

from __future__ import annotations

import re
from typing import Any

from deploy.fleet.ansible.nodes import Document, is_null, text_of, value_of
from deploy.fleet.ansible.told import PRIORITY, Told
from deploy.fleet.ansible.variables import matters
from deploy.fleet.draft import Where
from deploy.toml_keys import near, shown

_PARTS = ("hosts", "vars", "children")

_MOST_VISITS = 200_000
"""Groups and hosts; by aliases a short file can stand for any number of them."""


def looks_so(text: str) -> bool:
    """Whether a file whose name does not tell begins as such a file does: with ---, or `name:` alone in its line."""
    for line in text.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            return line.rstrip() == "---" or re.fullmatch(r"[\w.-]+:\s*(#.*)?", line) is not None
    return False


def read(text: str, file: str, told: Told) -> None:
    """Add what `text` says; every fault goes to the draft's."""
    document = Document(file, told.draft.faults)
    root = document.root(text)
    if root is None:
        return
    reader = _Reader(document, told)
    try:
        pairs = document.pairs(root)
    except ValueError as error:
        told.fault(document.where(root), f"an inventory {error}")
        return
    if "plugin" in pairs and (plugin := text_of(pairs["plugin"][1])):
        told.fault(
            document.where(pairs["plugin"][0]),
            f"it has no hosts in it: it configures Ansible's inventory plugin {shown(plugin)}; let a program print "
            f"what comes of it, with: ansible-inventory -i {file} --list",
        )
        return
    for name, (key, value) in pairs.items():
        reader.group(name, key, value)
    for where, name in document.doubled.items():
        told.draft.notes.append(f"{where}: {name} stands there twice, and the later counts, as Ansible has it")


class _Reader:
    def __init__(self, document: Document, told: Told) -> None:
        self._document, self._told = document, told
        self._visits = 0
        self._read: set[tuple[str, int]] = set()

    def group(self, name: str, key: Any, value: Any) -> None:
        where = self._document.where(key)
        group = self._told.group(name, where)
        if (name, id(value)) in self._read:
            return  # by an alias, once more: also of a group in itself, which is found by whoever puts them together
        self._read.add((name, id(value)))
        pairs = self._pairs(value, f"the group {shown(name)}")
        for part, (part_key, content) in pairs.items():
            if part not in _PARTS:
                self._told.fault(
                    self._document.where(part_key),
                    f"{shown(part)} means nothing in the group {name}{near(part, _PARTS)}; hosts, vars and children do",
                )
            elif text_of(content) is not None and not is_null(content) and part != "vars":
                only = str(text_of(content))  # a single name may stand there as a text
                self._one(part, name, only, content, None)
            else:
                for inner, (inner_key, inner_value) in self._pairs(content, f"{part} of the group {name}").items():
                    if part == "vars":
                        if matters(inner) or inner == PRIORITY:
                            at = self._document.where(inner_key)
                            self._told.group_variable(group, inner, value_of(inner_value), at)
                    else:
                        self._one(part, name, inner, inner_key, inner_value)

    def _one(self, part: str, group: str, name: str, key: Any, value: Any) -> None:
        where = self._document.where(key)
        self._visits += 1
        if self._visits > _MOST_VISITS:
            self._told.fault(Where(where.file), f"it stands for more than {_MOST_VISITS:,} groups and hosts")
            return
        if part == "children":
            self.group(name, key, value)
            self._told.group(group, where).links.setdefault(name, where)
            return
        hosts = self._told.add_hosts(name, group, where)
        for variable, (variable_key, content) in self._pairs(value, f"the host {shown(name)}").items():
            if matters(variable):
                found, at = value_of(content), self._document.where(variable_key)
                for host in hosts:
                    host.put(variable, found, at)

    def _pairs(self, node: Any, what: str) -> dict[str, tuple[Any, Any]]:
        try:
            return self._document.pairs(node)
        except ValueError as error:
            self._told.fault(self._document.where(node), f"{what} {error}")
            return {}
