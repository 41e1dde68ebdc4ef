"""Knows whether a release fits on a board, and which older ones go first where it would not.

A release that the deployment drops at its end anyway may go before the push: never the one that runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deploy.board_shell.quoting import quote, quote_path
from deploy.errors import Refused
from deploy.model.artifact import RELEASE_ID_LENGTH, Artifact
from deploy.model.facts import HostFacts, Installed
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.units import KIB
from deploy.transport.protocol import Script

IN_MEMORY = frozenset({"tmpfs", "ramfs", "rootfs"})
"""File systems whose files are memory (tmpfs(5); rootfs is one of the first two)."""

SWITCHED_MEANWHILE_STATUS = 75
"""EX_TEMPFAIL of sysexits.h: another deployment has switched the board since it was asked what it holds."""

# Other folders beside the releases, in a prefix that was there before, are not ours to remove.
_RELEASE_ID = re.compile(rf"[0-9a-f]{{{RELEASE_ID_LENGTH}}}")


def unneeded(installed: Installed, release_id: str) -> list[str]:
    """The releases that nothing will point at once `release_id` is the current one."""
    before = installed.current
    keep = {release_id, before, installed.previous if before == release_id else ""}
    return sorted(each for each in set(installed.releases) - keep if _RELEASE_ID.fullmatch(each))


def to_drop(facts: HostFacts, limits: Limits, release_id: str, wanted_kib: int) -> tuple[str, ...]:
    """Those that have to go before `wanted_kib` fit: the ones that nothing points at first, `previous` last."""
    installed, free_kib, dropped = facts.installed, usable_kib(facts, limits), []
    for each in sorted(unneeded(installed, release_id), key=lambda one: (one == installed.previous, one)):
        if free_kib >= wanted_kib:
            break
        dropped.append(each)
        free_kib += installed.sizes.get(each, 0) // KIB
    return tuple(dropped)


def usable_kib(facts: HostFacts, limits: Limits) -> int:
    """What is free for a release. On a file system in memory, what lies there is taken from the gateway itself."""
    if facts.place.file_system not in IN_MEMORY:
        return facts.place.free_kib
    return max(0, min(facts.place.free_kib, facts.mem_available_kib - limits.gomemlimit_bytes // KIB))


def needed_kib(facts: HostFacts, artifact: Artifact) -> int:
    """What the artifact takes on the board, less what an earlier push has left of it there."""
    part = facts.installed.parts.get(artifact.release_id)
    return max(0, artifact.size_bytes - (part.size_bytes if part else 0)) // KIB + 1


def refuse_without_space(facts: HostFacts, limits: Limits, release_id: str, wanted_kib: int, host: str) -> None:
    """Raise Refused where `wanted_kib` do not fit, whatever is dropped."""
    place, free_kib = facts.place, usable_kib(facts, limits)
    given_back = sum(facts.installed.sizes.get(each, 0) // KIB for each in unneeded(facts.installed, release_id))
    if free_kib + given_back >= wanted_kib:
        return
    older = f" and {given_back} KiB in older releases" if given_back else ""
    if free_kib < place.free_kib:
        problem = (
            f"{place.mount_point} is a {place.file_system}: what lies there takes memory, of which {free_kib} KiB are "
            f"left beside the gateway's own{older}; the release needs {wanted_kib} KiB"
        )
        raise Refused("no_memory_for_files", problem, host)
    problem = f"{place.mount_point} has {place.free_kib} KiB free{older}, the release needs {wanted_kib} KiB"
    raise Refused("no_space", problem, host)


def drop(layout: Layout, current: str, previous: str, releases: Sequence[str]) -> Script:
    """Remove those releases, and the link `previous` with its release; nothing where `current` is another by now."""
    folders = " ".join(quote_path(layout.release(each)) for each in releases)
    link = f"rm -f {quote_path(layout.previous)}\n" if previous in releases else ""
    return Script(
        title="drop older releases, to make room",
        text=f"now=$(readlink {quote_path(layout.current)} 2>/dev/null)\n"
        f'[ "${{now##*/}}" = {quote(current)} ] || exit {SWITCHED_MEANWHILE_STATUS}\n'
        f"{link}rm -rf {folders}\n",
    )
