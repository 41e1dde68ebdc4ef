"""Knows how a host is led back to a release that lies on it, and what this machine then knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy import deployments
from deploy.board_shell.framing import Framing
from deploy.board_shell.lock import Lock
from deploy.board_shell.observe import Location
from deploy.board_shell.releases import Held, HeldRelease, parse_releases, releases_script
from deploy.cli import reaching
from deploy.cli.reaching import Place
from deploy.cli.service import manager_of
from deploy.cli.wording import PROGRAM
from deploy.errors import UsageError
from deploy.model.reading import Process
from deploy.steps.asking import must
from deploy.steps.roll_back import RollBack
from deploy.transport.protocol import Transport


@dataclass(frozen=True, slots=True)
class Gone:
    """A host that was led back to `to`; `held` is what lay on it before."""

    held: Held
    to: HeldRelease
    process: Process
    files: tuple[str, ...]
    """The names of the files by which the release ran, and runs again."""

    def document(self, place: Place) -> dict[str, Any]:
        """The JSON document of `rollback` (docs/json.md), without what it took."""
        return {
            "board": place.board.name,
            "host": str(place.host),
            "release": self.to.release_id,
            "before": self.held.current,
            "pid": self.process.pid,
            "files": list(self.files),
        }


def way_back(
    place: Place,
    transport: Transport,
    *,
    prefix: str = "",
    release: str = "",
    note: Callable[[str], None] = lambda _: None,
) -> RollBack:
    """The way back to the release that begins with `release`, or to the one before; asks the host, changes nothing.

    Raises UsageError where there is no such release, or no gateway.
    """
    # The board has what the way back takes: a record with faults is not in its way.
    record = deployments.recall_readable(place.board.name, str(place.host), place.machine)
    is_gateway = record is None or record.command is None
    return way_of(place, transport, prefix=prefix, release=release, note=note, is_gateway=is_gateway)


def way_of(
    place: Place,
    transport: Transport,
    *,
    prefix: str,
    release: str,
    is_gateway: bool,
    note: Callable[[str], None] = lambda _: None,
) -> RollBack:
    """As `way_back`, whatever this machine remembers of the host."""
    found = reaching.installed(transport, place, prefix)
    held = held_on(transport, found)
    manager, wanted = manager_of(found, place), _wanted(held, release, place)
    return RollBack(transport, manager, held, wanted, Lock.mine(), note, is_gateway=is_gateway)


def go_back(
    place: Place,
    transport: Transport,
    *,
    prefix: str = "",
    release: str = "",
    note: Callable[[str], None] = lambda _: None,
) -> Gone:
    """Go the way back; the record of then becomes this machine's again. Raises as RollBack.run, and UsageError."""
    gone = go(way_back(place, transport, prefix=prefix, release=release, note=note))
    deployments.go_back(place.board.name, str(place.host), place.machine, gone.to.sha256)
    return gone


def go(way: RollBack) -> Gone:
    """Go it. Raises as RollBack.run."""
    process = way.run()
    return Gone(way.held, way.to, process, tuple(path.rpartition("/")[2] for path in way.files()))


def held_on(transport: Transport, found: Location) -> Held:
    """The releases on the host. Raises HostError's leaves."""
    framing = Framing.new()
    return parse_releases(framing, must(transport, releases_script(found.layout, framing)).stdout)


def _wanted(held: Held, release_id: str, place: Place) -> HeldRelease:
    """The release to go back to. Raises UsageError where there is none."""
    listing = f"{PROGRAM} releases {place.flags} lists what there is"
    if not release_id and not held.previous:
        raise UsageError(f"there is no release before the current one on {place.host} ({listing})")
    wanted = release_id or held.previous
    fitting = [each for each in held.releases if each.release_id.startswith(wanted)]
    if len(fitting) != 1:
        what = "several releases begin with" if fitting else "there is no release"
        raise UsageError(f"{what} {wanted} on {place.host} ({listing})")
    if fitting[0].release_id == held.current:
        raise UsageError(f"{wanted} is the current release on {place.host} ({listing})")
    return fitting[0]
