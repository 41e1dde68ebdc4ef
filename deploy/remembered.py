"""Knows which host stands behind a board's name, kept in a file of the user's; reaching it is the transport's."""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from pathlib import Path

from deploy.errors import BadFile, UnknownName
from deploy.folders import config_folder
from deploy.model.host import Host, parse_host


def _file() -> Path:
    return config_folder() / "hosts.json"


def hosts() -> dict[str, Host]:
    """The hosts by the names of their boards, sorted. Raises BadFile with every fault of the file."""
    path = _file()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadFile(str(path), [f"it can't be read: {error.strerror or error}"], "hosts") from error
    except ValueError as error:
        raise BadFile(str(path), [f"it is no JSON that can be read: {error}"], "hosts") from error
    if not isinstance(found, dict):
        raise BadFile(str(path), ["it is no object of boards and hosts"], "hosts")
    known: dict[str, Host] = {}
    faults: list[str] = []
    for board, text in sorted(found.items()):
        try:
            if not isinstance(text, str):
                raise ValueError(f"{json.dumps(text)} is not a host: it has to be a text, such as root@192.0.2.7")
            known[board] = parse_host(text)
        except ValueError as error:
            faults.append(f"{board}: {error}")
    if faults:
        raise BadFile(str(path), faults, "hosts")
    return known


def add(board: str, host: Host) -> None:
    """Remember `host` for `board`, instead of another one. Raises BadFile as `hosts` does."""
    _write(hosts() | {board: host})


def forget(board: str) -> Host:
    """Forget the host of `board` and return it. Raises UnknownName, or BadFile as `hosts` does."""
    known = hosts()
    if board not in known:
        near = difflib.get_close_matches(board, known, n=3, cutoff=0.5)
        raise UnknownName("board with a remembered host", board, near, sorted(known))
    host = known.pop(board)
    _write(known)
    return host


def _write(known: dict[str, Host]) -> None:
    path = _file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".hosts-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({board: str(host) for board, host in sorted(known.items())}, file, indent=2)
            file.write("\n")
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
