"""`releases|rollback|unlock`: what lies on a host, the way back to it, and a lock that nobody will take away."""

from __future__ import annotations

import json as json_format
import time
from contextlib import closing
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy import deployments
from deploy.board_shell.lock import clear
from deploy.board_shell.releases import Held, HeldRelease
from deploy.cli import reaching
from deploy.cli.ending import command
from deploy.cli.going_back import go_back, held_on, way_back
from deploy.cli.options import help_for
from deploy.cli.reaching import Place
from deploy.cli.service import ACTION_HELP
from deploy.cli.wording import PROGRAM
from deploy.model.layout import Layout
from deploy.model.units import show_bytes
from deploy.steps.asking import must


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
        held = held_on(transport, reaching.installed(transport, place, prefix))
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

    screen = silent.screen(as_json=json)
    place = reaching.choose(board, host, emulate=emulate)
    with closing(reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)) as transport:
        if dry_run:
            scripts = way_back(place, transport, prefix=prefix, release=release).scripts()
            screen.say("\n\n".join(each.shown() for each in scripts))
            if json:
                print(json_format.dumps({"scripts": [each.shown() for each in scripts]}, indent=2))
            return 0
        began_s = time.monotonic()
        with screen.steps() as observer:
            gone = go_back(place, transport, prefix=prefix, release=release, note=observer.note)
    screen.say(
        f"release {gone.to.release_id} runs again on {place.host}: process {gone.process.pid}, ready and still ready; "
        f"with {', '.join(gone.files) + ' of then' if gone.files else 'the config of now: none was kept beside it'}\n"
        f"back to {gone.held.current}: {PROGRAM} rollback {place.flags}"
    )
    if json:
        seconds = round(time.monotonic() - began_s, 3)
        print(json_format.dumps(gone.document(place) | {"seconds": seconds}, indent=2))
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
        found = reaching.located(transport, place, prefix)
        # A first deployment that was cut off holds a lock where nothing is installed yet.
        layouts = [found.layout] if found else [Layout(each) for each in reaching.prefixes(place, prefix)]
        must(transport, clear(layouts))
    Screen().say(f"nobody holds {place.host} now")
    return 0


def listing(held: Held, place: Place) -> dict[str, Any]:
    """The JSON document of `releases` (docs/json.md)."""
    rows = [_row(held, each, place) for each in _in_order(held)]
    return {"board": place.board.name, "host": str(place.host), "running": held.runs, "releases": rows}


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


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(min(seconds, 253402300799)))
