"""Knows the folders group_vars/ and host_vars/ beside an inventory, and which file in them is about whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deploy.errors import BadFile
from deploy.fleet.ansible.nodes import Document, value_of
from deploy.fleet.ansible.told import Subject, Told, Variable
from deploy.fleet.ansible.variables import matters
from deploy.fleet.draft import Where
from deploy.fleet.files import read_text

_ENDINGS = ("", ".yml", ".yaml", ".json")
"""The order in which they are looked for; the first that is there is the only one (Ansible's host_group_vars)."""

_VAULT = "$ANSIBLE_VAULT;"

_DEEPEST = 20


def add(folder: Path, told: Told) -> None:
    """Read what the folders in `folder` say of the groups and hosts that are told of."""
    for name, subjects in (("group_vars", told.groups), ("host_vars", told.hosts)):
        where = folder / name
        if where.is_dir():
            there = {each.name for each in where.iterdir()}  # one look for all: most hosts have no file
            for subject in subjects.values():
                for file in _files(where, subject.name, there):
                    _read(file, subject, told)


def _files(folder: Path, name: str, there: set[str]) -> Iterator[Path]:
    for ending in _ENDINGS:
        if name + ending in there:
            found = folder / (name + ending)
            if found.is_dir():
                yield from _in_folder(found, 0)
            else:
                yield found
            return


def _in_folder(folder: Path, depth: int) -> Iterator[Path]:
    for each in sorted(folder.iterdir()):
        if each.name.startswith(".") or each.name.endswith("~"):
            continue
        if each.is_dir():
            if not each.suffix and depth < _DEEPEST:
                yield from _in_folder(each, depth + 1)
        elif each.suffix in _ENDINGS:
            yield each


def _read(path: Path, subject: Subject, told: Told) -> None:
    file = str(path)
    try:
        found = read_text(path)
    except BadFile as error:
        for fault in error.faults:
            told.fault(Where(file), fault)
        return
    if found.text.startswith(_VAULT):
        told.draft.notes.append(f"{file} is encrypted by ansible-vault and was not read")
        return
    if found.trust_fault:
        told.draft.untrusted[file] = found.trust_fault
    document = Document(file, told.draft.faults)
    root = document.root(found.text)
    try:
        pairs = document.pairs(root)
    except ValueError as error:
        told.fault(Where(file), f"a file of variables {error}")
        return
    for name, (key, value) in pairs.items():
        if matters(name):
            subject.beside[name] = Variable(value_of(value), document.where(key))
