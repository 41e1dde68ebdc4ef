"""Knows where an inventory comes from and which of the formats it is in; each format is a module beside this one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from deploy.errors import BadFile, UnknownName
from deploy.fleet import lines, toml_inventory
from deploy.fleet.draft import Draft, Where
from deploy.fleet.resolving import resolve
from deploy.model.fleet import Inventory

MOST_BYTES = 64 * 1024 * 1024
"""No inventory of people's comes near it."""

COMMAND_LINE = "the command line"


def read(source: str | Path) -> Inventory:
    """The fleet of a file, or of hosts with commas between: `root@10.0.0.1,root@10.0.0.2`.

    Raises BadFile with every fault, each with file and line; UnknownName where there is no such file.
    """
    text = str(source)
    path = Path(text)
    if not _is_there(path):
        if isinstance(source, str) and ("," in text or ("@" in text and "/" not in text)):
            return resolve(lines.read_commas(text, COMMAND_LINE))
        raise UnknownName("inventory", text)
    return resolve(_draft(path))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or has a null character in it
        return False


def _draft(path: Path) -> Draft:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadFile(str(path), ["it is not a file"])
        if status.st_size > MOST_BYTES:
            raise BadFile(str(path), [f"it is larger than {MOST_BYTES // 1024 // 1024} MiB"])
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadFile(str(path), [f"it can't be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise BadFile(str(path), [f"it is not UTF-8: see byte {error.start}"]) from None
    draft = _parsed(path, text.replace("\r\n", "\n"))
    _check_trust(draft, status)
    return draft


def _parsed(path: Path, text: str) -> Draft:
    if path.suffix == ".toml":
        return toml_inventory.read(text, str(path))
    return lines.read(text, str(path))


def _check_trust(draft: Draft, status: os.stat_result) -> None:
    """A file that names programs of this machine is trusted only where nobody else could have written it."""
    if not any(given.key.endswith("_command") for each in draft.all_said() for given in each.by_slot.values()):
        return
    if fault := trust_fault(status):
        draft.faults.add(Where(draft.source), f"it names a command, and {fault}")


def trust_fault(status: os.stat_result) -> str:
    """Why programs that a file names are not run, as a clause; "" where only its owner, you or root, could write it."""
    if status.st_uid not in (os.geteuid(), 0):
        return "belongs to somebody else"
    return "everybody can write it (chmod o-w)" if status.st_mode & 0o002 else ""
