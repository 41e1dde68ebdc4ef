"""Knows where an inventory comes from and which of the formats it is in; each format is a module beside this one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.errors import BadFile, UnknownName
from deploy.fleet import csv_inventory, lines, toml_inventory
from deploy.fleet.ansible import beside, ini, json_form, yaml_form
from deploy.fleet.ansible.layers import drafted
from deploy.fleet.ansible.told import Told
from deploy.fleet.draft import Draft, Where
from deploy.fleet.files import Text, read_text
from deploy.fleet.program import Program, is_program
from deploy.fleet.resolving import resolve
from deploy.model.fleet import Inventory

COMMAND_LINE = "the command line"

_YAML = (".yml", ".yaml", ".json")
_INI = (".ini", ".cfg")
_VARIABLES = ("group_vars", "host_vars")

# What Ansible passes over in a folder of inventories (INVENTORY_IGNORE_EXTS, and its own folders).
_PASSED_OVER = re.compile(
    r"\..*|(?:host_vars|group_vars|vars_plugins)|.*(?:~|\.(?:pyc|pyo|swp|bak|rpm|md|txt|rst|orig|cfg|retry))"
)

_DEEPEST = 20


def read(source: str | Path) -> Inventory:
    """The fleet of a file, a folder, a program, or of hosts with commas between: `root@10.0.0.1,root@10.0.0.2`.

    Raises BadFile with every fault, each with file and line; UnknownName where there is no such file; InventoryFailed
    for a program that ends badly.
    """
    text = str(source)
    path = Path(text)
    if not _is_there(path):
        if isinstance(source, str) and ("," in text or ("@" in text and "/" not in text)):
            return resolve(lines.read_commas(text, COMMAND_LINE))
        raise UnknownName("inventory", text)
    try:
        draft = _draft(path)
    except OSError as error:
        raise BadFile(str(error.filename or path), [f"it can't be read: {error.strerror}"]) from None
    _check_trust(draft)
    return resolve(draft)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or has a null character in it
        return False


def _draft(path: Path) -> Draft:
    told = Told(str(path))
    if path.is_dir():
        for file in _files(path, 0):
            _add(file, told)
        beside.add(path, told)
        return drafted(told, path)
    if not path.is_file():
        raise BadFile(str(path), ["it is not a file"])
    if path.suffix not in (".toml", ".csv") and is_program(path):
        program = Program(path)
        table = _decoded(program.answer("--list"), f"{path} --list")
        if _is_ours(table):
            return toml_inventory.read_table(table, str(path))
        _add_printed(table, path, program, told)
    else:
        found = read_text(path)
        if (draft := _of_ours(path, found)) is not None:
            if found.trust_fault:
                draft.untrusted[str(path)] = found.trust_fault
            return draft
        _add_text(path, found, told)
    beside.add(path.parent, told)
    return drafted(told, path.parent)


def _of_ours(path: Path, found: Text) -> Draft | None:
    """What a fleet.toml, a table or a plain list says; None for Ansible's forms."""
    if path.suffix == ".toml":
        return toml_inventory.read(found.text, str(path))
    if path.suffix == ".csv":
        return csv_inventory.read(found.text, str(path))
    if path.suffix in (*_YAML, *_INI) or yaml_form.looks_so(found.text) or ini.looks_so(found.text):
        return None
    if any((path.parent / name).is_dir() for name in _VARIABLES):
        return None  # somebody wrote down more of these hosts
    return lines.read(found.text, str(path))


def _add(path: Path, told: Told) -> None:
    """One file of a folder, which is Ansible's."""
    file = str(path)
    try:
        if path.suffix in (".toml", ".csv"):
            told.fault(Where(file), f"no {path.suffix} stands in a folder of Ansible's inventories: name it alone")
        elif is_program(path):
            program = Program(path)
            _add_printed(_decoded(program.answer("--list"), f"{file} --list"), path, program, told)
        else:
            _add_text(path, read_text(path), told)
    except BadFile as error:
        for fault in error.faults:
            told.fault(Where(error.path), fault)


def _add_text(path: Path, found: Text, told: Told) -> None:
    file = str(path)
    if found.trust_fault:
        told.draft.untrusted[file] = found.trust_fault
    if path.suffix == ".json" and (table := _with_meta(found.text)) is not None:
        json_form.read(table, file, told)
    elif path.suffix in _YAML or (path.suffix not in _INI and yaml_form.looks_so(found.text)):
        yaml_form.read(found.text, file, told)
    else:
        ini.read(found.text, file, told)


def _add_printed(table: dict[str, Any], path: Path, program: Program, told: Told) -> None:
    def ask_host(name: str) -> Any:
        printed = program.answer("--host", name)
        return _decoded(printed, f"{path} --host {name}") if printed.strip() else {}

    json_form.read(table, str(path), told, ask_host)


def _is_ours(table: dict[str, Any]) -> bool:
    """Whether a program prints what fleet.toml says: only its tables, where Ansible's have names of groups."""
    return json_form.META not in table and "hosts" in table and set(table) <= {"defaults", "groups", "hosts"}


def _with_meta(text: str) -> dict[str, Any] | None:
    """What `ansible-inventory --list` printed into a file; None for any other JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and json_form.META in found else None


def _decoded(printed: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(printed.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadFile(what, [f"it prints no UTF-8: see byte {error.start}"]) from None
    except json.JSONDecodeError as error:
        raise BadFile(what, [f"it prints no JSON: {error.msg} (line {error.lineno}, column {error.colno})"]) from None
    except (ValueError, RecursionError):
        raise BadFile(what, ["it prints JSON with a number too long, or too deep in itself"]) from None
    if not isinstance(found, dict):
        raise BadFile(what, ["it prints no JSON object in { }"])
    return found


def _files(folder: Path, depth: int) -> Iterator[Path]:
    for each in sorted(folder.iterdir()):
        if _PASSED_OVER.fullmatch(each.name):
            continue
        if each.is_dir():
            if depth < _DEEPEST:
                yield from _files(each, depth + 1)
        else:
            yield each


def _check_trust(draft: Draft) -> None:
    """A file that names programs of this machine is trusted only where nobody else could have written it."""
    for each in draft.all_said():
        for given in each.by_slot.values():
            if given.key.endswith("_command") and (fault := draft.untrusted.get(given.where.file)):
                draft.faults.add(Where(given.where.file), f"it names a command, and {fault}")
