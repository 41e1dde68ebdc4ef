"""Knows what a fleet needs built: each distinct binary once, several at a time, before any host is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy import catalogue
from deploy.build import build, find_built, sha256_of
from deploy.cli.fleet.deploying import wishes_of
from deploy.cli.fleet.order import Order
from deploy.cli.planning import source_of
from deploy.errors import UsageError
from deploy.model.artifact import Artifact
from deploy.model.fleet import Member
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.model.units import show_bytes, show_hosts
from deploy.toolchain import find


def wanted_of(order: Order, members: Sequence[Member]) -> dict[tuple[Source, Target, str], list[str]]:
    """The distinct builds, each with the members that it is for. A member whose board is not known is in none.

    Raises UsageError's leaves.
    """
    found: dict[tuple[Source, Target, str], list[str]] = {}
    boards = {name: catalogue.board(name) for name in {member.board for member in members if member.board}}
    for member in members:
        if member.board:
            board, wishes = boards[member.board], wishes_of(order, member)
            found.setdefault((source_of(wishes, board.tags), board.target, wishes.version), []).append(member.name)
    return found


def planned(order: Order, members: Sequence[Member]) -> list[tuple[Target, Artifact | None]]:
    """What would be built, with the artifact of those that are built already. Raises UsageError's leaves."""
    go = find()
    return [(key[1], find_built(*key, go)) for key in wanted_of(order, members)]


def build_all(order: Order, members: Sequence[Member], note: Callable[[str], None]) -> tuple[Artifact, ...]:
    """An artifact for each target, built where the cache has none. Raises UsageError's leaves, BuildFailed among them.

    Two boards of one target that want other tags are refused: a rollout deploys one binary to a target.
    """
    wanted = wanted_of(order, members)
    targets: dict[Target, Source] = {}
    for source, target, _ in wanted:
        if (other := targets.setdefault(target, source)) != source:
            raise UsageError(
                f"two boards of the target {target} want other tags ({' '.join(other.tags) or 'none'}; "
                f"{' '.join(source.tags) or 'none'}): name them with --tags, or deploy to them one after the other"
            )
    go = find()

    def one(key: tuple[Source, Target, str]) -> Artifact:
        found = find_built(*key, go)
        artifact = found or build(*key, go, note=note)
        note(
            f"{artifact.name} {artifact.version} for {artifact.target}, {show_bytes(artifact.size_bytes)}, "
            f"{'built already' if found else 'built'}, for {show_hosts(len(wanted[key]))}"
        )
        return artifact

    with ThreadPoolExecutor(max_workers=max(1, (os.cpu_count() or 2) // 2)) as executor:
        return tuple(executor.map(one, wanted))


def still_there(artifacts: Sequence[Artifact]) -> None:
    """Raise UsageError where a binary of a rollout that is resumed is no longer what it was."""
    for artifact in artifacts:
        try:
            whole = sha256_of(artifact.path) == artifact.sha256
        except OSError:
            whole = False
        if not whole:
            raise UsageError(
                f"the binary of this rollout for {artifact.target}, release {artifact.release_id}, is no longer at "
                f"{artifact.path}: begin a new rollout; hosts that have their release already are left as they are"
            )
