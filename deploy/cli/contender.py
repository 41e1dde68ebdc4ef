"""Knows what a comparison's A and B may be: a binary, a Go tree, a revision of the gateway; each becomes a binary."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.build import build, find_built, sha256_of
from deploy.bundled import gateway_folder
from deploy.cli.planning import Wishes, source_of
from deploy.elf import read_back
from deploy.errors import UsageError
from deploy.model.artifact import RELEASE_ID_LENGTH
from deploy.model.board import Board
from deploy.toolchain import find

VERSION = "0.0.0-compared"
"""What both tell as their version: of two trees that are alike the binaries are."""

_GIT_S = 60


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the two: what the user called it, and its binary."""

    called: str
    path: Path
    sha256: str
    size_bytes: int

    @property
    def release_id(self) -> str:
        """The folder that it gets on the board."""
        return self.sha256[:RELEASE_ID_LENGTH]


def contender(called: str, board: Board, tags: str, scratch: Path, note: Callable[[str], None]) -> Contender:
    """The binary that `called` names: an existing file, a folder with go.mod, else a git revision of the gateway.

    `scratch` takes the tree of a revision. Raises UsageError's leaves.
    """
    if not called:
        raise UsageError("an empty name says not what to compare: a binary, a folder with a go.mod, or a revision")
    path = Path(called).expanduser()
    if path.is_file():
        read_back(path, board.target)
        return _of(called, path)
    if path.is_dir() and (path / "go.mod").is_file():
        return _built(called, str(path), board, tags, note)
    if path.is_dir():
        raise UsageError(f"{called} is a folder without a go.mod")
    tree = _tree_of(called, scratch)
    note(f"building the gateway of {called}")
    return _built(called, str(tree), board, tags or ",".join(board.tags), note)


def _of(called: str, path: Path) -> Contender:
    return Contender(called, path, sha256_of(path), path.stat().st_size)


def _built(called: str, root: str, board: Board, tags: str, note: Callable[[str], None]) -> Contender:
    source, go = source_of(Wishes(source=root, tags=tags or ",".join(board.tags)), board.tags), find()
    artifact = find_built(source, board.target, VERSION, go) or build(source, board.target, VERSION, go, note=note)
    return _of(called, artifact.path)


def _tree_of(revision: str, scratch: Path) -> Path:
    """The gateway as it was at that revision, in a folder below `scratch`; the checkout is not touched."""
    gateway = gateway_folder()
    top = _git(gateway, "rev-parse", "--show-toplevel").strip()
    wanted = f"{revision} is no file, no folder with a go.mod, and no revision of the gateway's repository"
    if not top or revision.startswith("-"):
        raise UsageError(wanted)
    commit = _git(gateway, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    if not commit:
        raise UsageError(wanted)
    below = gateway.resolve().relative_to(Path(top).resolve()).as_posix()
    packed = _git_bytes(Path(top), "archive", "--format=tar", commit, "--", below)
    if not packed:
        raise UsageError(f"revision {revision} has no {below}")
    folder = scratch / commit
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / below


def _git(folder: Path, *arguments: str) -> str:
    return _git_bytes(folder, *arguments).decode("utf-8", "replace")


def _git_bytes(folder: Path, *arguments: str) -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment,
            capture_output=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""
