"""Knows how Ansible's INI inventories are written: sections of hosts, of variables and of groups in groups."""

from __future__ import annotations

import ast
import re
import shlex
import warnings

from deploy.fleet.ansible.told import Subject, Told
from deploy.fleet.ansible.variables import matters
from deploy.fleet.draft import Where
from deploy.model.fleet import EVERYBODY, UNGROUPED
from deploy.toml_keys import near, shown

# As the plugin has them; what follows a # there is a comment.
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
# shlex goes through a line character by character, in Python; most lines have nothing for it to do.
_QUOTED, _PLAIN = re.compile(r"""['"\\#]"""), re.compile(r"[ \t\r\n]+")
_KINDS = ("hosts", "vars", "children")


def looks_so(text: str) -> bool:
    """Whether a file whose name does not tell has a section, or a variable after a host."""
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue
        if _SECTION.fullmatch(stripped) or re.match(r"\S+\s+[A-Za-z_]\w*=", stripped):
            return True
    return False


def read(text: str, file: str, told: Told) -> None:
    """Add what `text` says; every fault goes to the draft's."""
    reader = _Reader(file, told)
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            reader.line(stripped, Where(file, number))
    reader.end()


class _Reader:
    def __init__(self, file: str, told: Told) -> None:
        self._told = told
        self._kind, self._group = "hosts", UNGROUPED
        self._declared = {EVERYBODY, UNGROUPED}
        self._only_said: dict[str, Where] = {}
        """Groups that have variables, and are declared nowhere so far."""

    def line(self, line: str, where: Where) -> None:
        if section := _SECTION.fullmatch(line):
            self._section(section[1], section[2] or "hosts", where)
        elif line.startswith("[") and line.endswith("]"):
            self._told.fault(where, f"{shown(line)} is no section: write [group], [group:vars] or [group:children]")
        elif self._kind == "hosts":
            self._hosts(line, where)
        elif self._kind == "vars":
            name, equals, value = line.partition("=")
            if not equals:
                self._told.fault(where, "a variable is written name=value")
            else:
                self._variable(self._told.group(self._group, where), name.strip(), value.strip(), where)
        elif self._kind == "children":
            child = _GROUP.fullmatch(line)
            if child is None:
                self._told.fault(where, f"{shown(line)} is no group's name")
            else:
                self._told.group(self._group, where).links.setdefault(child[1], where)

    def _section(self, group: str, kind: str, where: Where) -> None:
        self._group, self._kind = group, kind
        if kind not in _KINDS:
            self._told.fault(where, f"a section [{group}:{kind}] has no meaning{near(kind, _KINDS)}")
            self._kind = ""  # what stands in it is passed over
        elif kind == "vars" and group not in self._told.groups:
            self._only_said.setdefault(group, where)
        elif kind != "vars":
            self._told.group(group, where)
            self._only_said.pop(group, None)

    def _hosts(self, line: str, where: Where) -> None:
        try:
            words = _PLAIN.split(line) if not _QUOTED.search(line) else shlex.split(line, comments=True)
        except ValueError as error:
            self._told.fault(where, f"this can't be split into words: {str(error).lower()}")
            return
        if not words:
            return
        hosts = self._told.add_hosts(words[0], self._group, where)
        for word in words[1:]:
            name, equals, value = word.partition("=")
            if not equals:
                # What stands here may be the second half of a password with a blank in it.
                self._told.fault(where, "after a host only variables follow, each written name=value")
                return
            for host in hosts:
                if matters(name):
                    host.put(name, _value(value), where)

    def _variable(self, group: Subject, name: str, value: str, where: Where) -> None:
        self._told.group_variable(group, name, _value(value), where)

    def end(self) -> None:
        for name, where in self._only_said.items():
            known = [group for group in self._told.groups if group not in self._only_said]
            self._told.fault(where, f"there is no group {shown(name)} for [{name}:vars]{near(name, known)}")


def _value(text: str) -> object:
    """As Ansible has it: a Python literal where it is one (a number, True, a text in quotes), else the text itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    if isinstance(found, (tuple, set)):
        return list(found)
    return found if found is None or isinstance(found, (str, bool, int, float, list, dict)) else text
