"""Knows where the record of the last deployment to each host lies on the controller, and how it is written and read.

The record is what makes a later reading provable: which binary, under which limits. It holds no secret.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from deploy.errors import BadFile
from deploy.folders import state_folder
from deploy.model.deployment import Deployment
from deploy.model.limits import Limits

_LAST = "last.json"

_NEEDED = {each.name for each in fields(Deployment) if each.default is MISSING and each.default_factory is MISSING}

MOST_KEPT = 8
"""Records of earlier releases that are kept for a host: more than a board keeps releases."""


def _folder(board: str, host: str, machine: str) -> Path:
    # A board may be named by a path and a host holds brackets and colons: neither is a file's name. A real board behind
    # a tunnel can have the address that its emulated machine had before.
    named = f"{board}\n{host}" + (f"\n{machine}" if machine else "")
    return _all() / hashlib.sha256(named.encode()).hexdigest()[:24]


def _all() -> Path:
    return state_folder() / "deployments"


def _file(board: str, host: str, machine: str, sha256: str = "") -> Path:
    # A folder for each host: in one for all, a fleet's thousandth record would be looked for among thousands.
    return _folder(board, host, machine) / (f"{sha256[:16]}.json" if sha256 else _LAST)


def remember(deployment: Deployment) -> None:
    """Write the record in place of the one before it, wholly or not at all; another stays for the way back to it."""
    where = (deployment.board, deployment.host, deployment.machine)
    with suppress(BadFile):  # what can't be read is written anew
        if recall(*where) == recall(*where, deployment.sha256) == deployment:
            return
    _write(deployment, _file(*where, deployment.sha256))
    _write(deployment, _file(*where))
    earlier = (each for each in _folder(*where).glob("*.json") if each.name != _LAST)
    for old in sorted(earlier, key=lambda each: each.stat().st_mtime)[:-MOST_KEPT]:
        old.unlink(missing_ok=True)


def go_back(board: str, host: str, machine: str, sha256: str) -> None:
    """The record of an earlier release becomes the last one's; without one there is none any more."""
    record = recall_readable(board, host, machine, sha256)
    if record is None:
        _file(board, host, machine).unlink(missing_ok=True)
    else:
        _write(record, _file(board, host, machine))


def _write(deployment: Deployment, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(deployment), file, indent=2)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def recall(board: str, host: str, machine: str = "", sha256: str = "") -> Deployment | None:
    """The record of the last deployment (of the binary `sha256`) from this machine, None without one. Raises BadFile.

    `machine` is the emulated machine that stands for the board, "" for the board itself; neither has the other's.
    """
    return _read(_file(board, host, machine, sha256))


def recall_readable(board: str, host: str, machine: str = "", sha256: str = "") -> Deployment | None:
    """As `recall`, but one that has faults is none."""
    with suppress(BadFile):
        return recall(board, host, machine, sha256)
    return None


def _read(path: Path) -> Deployment | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadFile(str(path), [f"it can't be read: {error.strerror or error}"], "record") from error
    try:
        return _record(json.loads(content))
    except (ValueError, TypeError, AttributeError) as error:
        raise BadFile(str(path), [f"it is no record of a deployment: {error}"], "record") from error


def _record(found: Any) -> Deployment:
    """Raises ValueError, and TypeError or AttributeError where the limits in it are none."""
    if not isinstance(found, dict):
        raise ValueError("it is no object in { }")
    if lacking := sorted(_NEEDED - found.keys()):
        raise ValueError(f"it lacks {', '.join(lacking)}")
    if foreign := sorted(found.keys() - {each.name for each in fields(Deployment)}):
        raise ValueError(f"it has {', '.join(foreign)[:80]}, which no record has")
    deployment = Deployment(**found | {"limits": _limits(found["limits"])})
    if not isinstance(deployment.sha256, str) or not isinstance(deployment.circumstances, dict):
        raise ValueError("a field has the wrong type")
    return deployment


def by_host() -> dict[str, list[Deployment]]:
    """The record of the last deployment to each host, by the host, one a board. Raises BadFile."""
    found: dict[str, list[Deployment]] = {}
    for path in sorted(_all().glob(f"*/{_LAST}")):
        if (record := _read(path)) is not None and not record.machine:
            found.setdefault(record.host, []).append(record)
    return found


def _limits(found: dict[str, Any]) -> Limits:
    hard = found.pop("hard_bytes", None)
    soft = {name: int(value) for name, value in found.items()}
    return Limits(**soft, hard_bytes=None if hard is None else int(hard))


def forget(board: str, host: str | None = None, machine: str = "") -> None:
    """Remove the record of `board` (or its emulated `machine`) at `host`, or all of the board's; none is fine."""
    if host is not None:
        _remove(_folder(board, host, machine))
    else:
        for path in _all().glob(f"*/{_LAST}"):
            with suppress(OSError, ValueError, AttributeError):
                if json.loads(path.read_text(encoding="utf-8")).get("board") == board:
                    _remove(path.parent)
    with suppress(OSError):
        _all().rmdir()  # where it is empty now


def _remove(folder: Path) -> None:
    for each in folder.glob("*.json"):
        each.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
