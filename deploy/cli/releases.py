"""`releases|rollback|unlock`: what lies on a host, the way back to it, and a lock that nobody will take away."""

from __future__ import annotations

import json as json_format
import time
from contextlib import closing
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy import deployments
from deploy.board_shell.framing import Framing
from deploy.board_shell.lock import Lock, clear
from deploy.board_shell.observe import Location
from deploy.board_shell.releases import Held, HeldRelease, parse_releases, releases_script
from deploy.cli import reaching
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.reaching import Place
from deploy.cli.service import ACTION_HELP, manager_of
from deploy.cli.wording import PROGRAM
from deploy.errors import UsageError
from deploy.model.reading import Process
from deploy.model.units import show_bytes
from deploy.steps.asking import must
from deploy.transport.protocol import Transport


@task(help=ACTION_HELP | help_for("json"), auto_shortflags=False)
@command
def releases(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    prefix: str = "",
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """List the releases on a board: which one is current, and which one a rollback would take."""
    from deploy.report.console import Screen

    place = reaching.choose(board, host, emulate=emulate)
    with closing(reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)) as transport:
        held = _held(transport, reaching.installed(transport, place, prefix))
    rows = [_row(held, each, place) for each in _in_order(held)]
    if json:
        print(json_format.dumps(listing(held, place), indent=2))
        return 0
    Screen().table(
        f"{place.board.name} at {transport.host}",
        ("release", "is", "version", "size", "pushed", "its config"),
        [
            (
                str(row["id"]),
                str(row["is"]) + ("" if row["whole"] else " (not whole)"),
                str(row["version"] or "?"),
                show_bytes(each.size_bytes),
                "?" if each.pushed_s is None else _date(each.pushed_s),
                "kept" if each.kept else "in use" if row["is"] == "current" else "not kept",
            )
            for row, each in zip(rows, _in_order(held), strict=True)
        ],
    )
    return 0


@task(
    help=ACTION_HELP
    | help_for("dry_run", "json", release="the id of another release than the one before, as `releases` lists them"),
    auto_shortflags=False,
)
@command
def rollback(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    prefix: str = "",
    release: str = "",
    dry_run: bool = False,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Start the release before the current one again, with the config by which it ran; put back where it is not ready.

    The one that ran until now becomes the one before: the same command once more leads back to it.
    """
    from deploy.report import silent
    from deploy.steps.roll_back import RollBack

    screen = silent.screen(as_json=json)
    place = reaching.choose(board, host, emulate=emulate)
    with closing(reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)) as transport:
        found = reaching.installed(transport, place, prefix)
        held = _held(transport, found)
        to = _wanted(held, release, place)
        record = deployments.recall(place.board.name, str(place.host), place.machine)
        with screen.steps() as observer:
            way = RollBack(
                transport,
                manager_of(found, place),
                held,
                to,
                Lock.mine(),
                observer.note,
                is_gateway=record is None or record.command is None,
            )
            if dry_run:
                scripts = way.scripts()
                screen.say("\n\n".join(each.shown() for each in scripts))
                if json:
                    print(json_format.dumps({"scripts": [each.shown() for each in scripts]}, indent=2))
                return 0
            began_s = time.monotonic()
            process = way.run()
            deployments.go_back(place.board.name, str(place.host), place.machine, to.sha256)
    files = [path.rpartition("/")[2] for path in way.files()]
    screen.say(
        f"release {to.release_id} runs again on {place.host}: process {process.pid}, ready and still ready; "
        f"with {', '.join(files) + ' of then' if files else 'the config of now: none was kept beside it'}\n"
        f"back to {held.current}: {PROGRAM} rollback {place.flags}"
    )
    if json:
        document = way_back(place, held, to, process, files)
        print(json_format.dumps(document | {"seconds": round(time.monotonic() - began_s, 3)}, indent=2))
    return 0


@task(help=ACTION_HELP, auto_shortflags=False)
@command
def unlock(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    prefix: str = "",
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Take away the lock of a deployment that will not come back. It ends by itself too, minutes later."""
    from deploy.report.console import Screen

    place = reaching.choose(board, host, emulate=emulate)
    with closing(reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)) as transport:
        must(transport, clear(reaching.installed(transport, place, prefix).layout))
    Screen().say(f"nobody holds {place.host} now")
    return 0


def listing(held: Held, place: Place) -> dict[str, Any]:
    """The JSON document of `releases` (docs/json.md)."""
    rows = [_row(held, each, place) for each in _in_order(held)]
    return {"board": place.board.name, "host": str(place.host), "running": held.runs, "releases": rows}


def way_back(place: Place, held: Held, to: HeldRelease, process: Process, files: list[str]) -> dict[str, Any]:
    """The JSON document of `rollback` (docs/json.md), without what it took."""
    return {
        "board": place.board.name,
        "host": str(place.host),
        "release": to.release_id,
        "before": held.current,
        "pid": process.pid,
        "files": files,
    }


def _held(transport: Transport, found: Location) -> Held:
    framing = Framing.new()
    return parse_releases(framing, must(transport, releases_script(found.layout, framing)).stdout)


def _in_order(held: Held) -> list[HeldRelease]:
    """The current one, the one before, then the others, the newest first."""
    rank = {held.current: 0, held.previous: 1}
    return sorted(held.releases, key=lambda each: (rank.get(each.release_id, 2), -(each.pushed_s or 0)))


def _row(held: Held, release: HeldRelease, place: Place) -> dict[str, Any]:
    what = {held.previous: "before", held.current: "current"}.get(release.release_id, "")
    record = deployments.recall(place.board.name, str(place.host), place.machine, release.sha256)
    return {
        "id": release.release_id,
        "is": what,
        "sha256": release.sha256,
        "whole": bool(release.sha256) and release.sha256.startswith(release.release_id),
        "version": record.circumstances.get("version", "") if record else "",
        "bytes": release.size_bytes,
        "pushed_s": release.pushed_s,
        "kept": list(release.kept),
    }


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


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(min(seconds, 253402300799)))
