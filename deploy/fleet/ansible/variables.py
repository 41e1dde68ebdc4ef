"""Knows which of Ansible's variables mean something here, and what each becomes; the others are nobody's business.

Our own keys stand in an Ansible inventory with `slimdeploy_` before them: `port` alone may mean anything there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from deploy.fleet.draft import Faults, Given, Where
from deploy.fleet.settings import checked, fault_of_key
from deploy.model.fleet import SWITCHES

OURS = "slimdeploy_"

# Of two names for one thing the last counts, wherever it stands: so Ansible's ssh plugin takes its options.
_MEANING = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "ssh_port": ("ansible_port", "ansible_ssh_port"),
    "ssh_user": ("ansible_user", "ansible_ssh_user"),
    "identity": ("ansible_private_key_file", "ansible_ssh_private_key_file"),
}
_CONNECTION = "ansible_connection"
_BY_SSH = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh"})

_UNUSED = {
    "ansible_password": "no password is taken from an inventory: logins are by key",
    "ansible_ssh_common_args": "jump hosts and the like stand in ~/.ssh/config",
}
_UNUSED |= dict.fromkeys(("ansible_ssh_pass", "ansible_ssh_password"), _UNUSED["ansible_password"])
_UNUSED |= dict.fromkeys(("ansible_ssh_args", "ansible_ssh_extra_args"), _UNUSED["ansible_ssh_common_args"])

_NAMES = frozenset({_CONNECTION, *_UNUSED, *(name for names in _MEANING.values() for name in names)})

_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_KNOWN = re.compile(r"\{\{-?\s*(inventory_hostname|inventory_hostname_short|inventory_dir)\s*-?\}\}")


class Encrypted:
    """Stands for a value that ansible-vault has encrypted."""


ENCRYPTED = Encrypted()


class _Variable(Protocol):
    @property
    def value(self) -> object:
        """As the file has it."""

    @property
    def where(self) -> Where:
        """The line."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What Ansible itself would fill into a template, as far as it is known here."""

    host: str
    folder: str

    def filled(self, text: str) -> str:
        """The text with these. Raises ValueError, with a clause, where another template is in it."""
        known = {
            "inventory_hostname": self.host,
            "inventory_hostname_short": self.host.partition(".")[0],
            "inventory_dir": self.folder,
        }
        parts = _KNOWN.split(text)  # what was filled in is not looked through again
        if any(_TEMPLATE.search(part) for part in parts[::2]):
            raise ValueError(
                "is a template, and only {{ inventory_hostname }}, {{ inventory_hostname_short }} and "
                "{{ inventory_dir }} are filled in here: write the value itself"
            )
        return "".join(known[part] if number % 2 else part for number, part in enumerate(parts))


def matters(name: str) -> bool:
    """Whether a variable of that name is looked at, be it to tell that it is not used."""
    return name in _NAMES or name.startswith(OURS)


def other_connection(variables: Mapping[str, _Variable]) -> str:
    """How the host is reached, if not by SSH; "" where it is."""
    given = variables.get(_CONNECTION)
    value = given.value if given else None
    return "" if value is None or value in _BY_SSH else str(value)[:40]


def unused(variables: Mapping[str, _Variable]) -> Iterator[tuple[str, str]]:
    """Variables that Ansible heeds and we don't, each with a clause about it."""
    return ((name, _UNUSED[name]) for name in variables if name in _UNUSED)


def given(variables: Mapping[str, _Variable], facts: Facts, faults: Faults) -> Iterator[Given]:
    """What they say of one host in our own keys; what can't be used goes to `faults`."""
    chosen: dict[str, str] = {}
    for key, names in _MEANING.items():
        said = [name for name in names if name in variables and variables[name].value is not None]
        if said:
            chosen[key] = said[-1]
    for name in variables:
        if name.startswith(OURS) and variables[name].value is not None:
            chosen[name.removeprefix(OURS)] = name
    for key, name in chosen.items():
        variable = variables[name]
        if key != "address" and (fault := fault_of_key(key)):
            faults.add(variable.where, fault.replace(key, name, 1))
            continue
        try:
            yield Given(key, _value(key, variable.value, facts), variable.where)
        except ValueError as error:
            faults.add(variable.where, f"{name} {error}")


def _value(key: str, raw: object, facts: Facts) -> str | bool | tuple[str, ...]:
    if isinstance(raw, Encrypted):
        raise ValueError("is encrypted by ansible-vault, which is not opened here: write the value itself")
    if isinstance(raw, list):
        raw = [facts.filled(each) if isinstance(each, str) else each for each in raw]
    elif isinstance(raw, str):
        raw = facts.filled(raw).strip()
    elif isinstance(raw, float) or (isinstance(raw, bool) and key not in SWITCHES):
        raw = str(raw)
    return checked(key, raw)
