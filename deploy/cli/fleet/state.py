"""`fleet.status|rollouts|rollback`: what is known of a fleet and its rollouts, and the way back."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy import deployments
from deploy.cli.ending import command
from deploy.cli.fleet.choosing import HELP, ROLLOUT_HELP, Chosen, choose, show_notes
from deploy.cli.fleet.deeds import looking
from deploy.cli.fleet.look import all_of
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.remembering import with_records
from deploy.cli.fleet.spreading import HELP as SPREAD_HELP
from deploy.cli.fleet.spreading import Spread, spread_of
from deploy.cli.fleet.telling import Lines, results_document, show_results, worst_exit_code
from deploy.cli.history import local_time
from deploy.cli.options import help_for
from deploy.cli.wording import PROGRAM
from deploy.errors import UsageError
from deploy.history import Kept, latest
from deploy.model.artifact import RELEASE_ID_LENGTH
from deploy.model.fleet import Member
from deploy.model.rollout import Phase, Result, Rollout, State
from deploy.model.units import show_hosts, show_kib
from deploy.report import silent
from deploy.report.fleet import counts_of, totals_line


@task(
    help=help_for(
        "json",
        inventory=HELP["inventory"],
        limit=HELP["limit"],
        at_once=HELP["at_once"],
        rollout=f"{ROLLOUT_HELP}: how it stands, or how it ended",
        live="ask every host what runs there now",
        **SPREAD_HELP,
    ),
    auto_shortflags=False,
)
@command
def status(
    context: Context,
    inventory: str = "",
    limit: str = "",
    rollout: str = "",
    live: bool = False,
    at_once: str = "64",
    scheduler: str = "",
    local_cluster: str = "",
    json: bool = False,
) -> int:
    """What this machine knows of each host: its release, its last reading. No host is asked, but with --live.

    With --rollout: that rollout, with what became of every host. Exit codes: 0, with --live 4 where nothing runs or
    answers, with --rollout as it ended.
    """
    if rollout:
        return _show_rollout(rollout, as_json=json)
    chosen = choose(inventory, limit, at_once)
    if live:
        chosen = replace(chosen, members=with_records(chosen.members))
        return _live(chosen, spread_of(scheduler, local_cluster), as_json=json)
    rows = _remembered(chosen.members)
    newest = _newest()
    if json:
        known = None if newest is None else {"id": newest.id, "phase": newest.phase.value, "why": newest.why}
        print(json_format.dumps({"inventory": chosen.inventory.source, "hosts": rows, "rollout": known}, indent=2))
        return 0
    from deploy.report.console import Screen

    screen = Screen()
    show_notes(screen, chosen)
    head = ("host", "board", "release", "version", "last VmRSS", "verdict", "taken")
    screen.table(f"{show_hosts(len(rows))}, as this machine remembers them", head, [_cells(row) for row in rows])
    if newest is not None and newest.phase is not Phase.ENDED:
        screen.say(f"rollout {newest.id} is {newest.phase.value}" + (f": {newest.why}" if newest.why else ""))
        screen.say(f"  {PROGRAM} fleet.status --rollout {newest.id}    shows it")
    return 0


def _newest() -> Rollout | None:
    from deploy.fleet.rollouts import Rollouts

    with Rollouts() as kept:
        return kept.newest()


def _remembered(members: tuple[Member, ...]) -> list[dict[str, Any]]:
    from deploy import catalogue

    readings = latest()
    names = {board: catalogue.board(board).name for board in {member.board for member in members if member.board}}
    return [_row(member, names.get(member.board, ""), readings) for member in members]


def _row(member: Member, board: str, readings: Mapping[tuple[str, str], Kept]) -> dict[str, Any]:
    host = str(member.host)
    record = deployments.recall(board, host) if board else None
    reading = readings.get((board, host))
    return {
        "name": member.name,
        "board": board or None,
        "host": host,
        "release": record.sha256[:RELEASE_ID_LENGTH] if record else None,
        "version": record.circumstances.get("version") if record else None,
        "rss_kib": reading.rss_kib if reading else None,
        "verdict": reading.verdict if reading else None,
        "taken_at": reading.taken_at if reading else None,
        "reading": reading.id if reading else None,
    }


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    figure = show_kib(row["rss_kib"]) if row["rss_kib"] is not None else ""
    taken = local_time(row["taken_at"]) if row["taken_at"] else ""
    words = (row["name"], row["board"], _short(row["release"]), row["version"], figure, row["verdict"], taken)
    return tuple(str(word or "") for word in words)


def _short(release: str | None) -> str:
    """Enough of it to tell releases apart, and for the commands that take one."""
    return (release or "")[:10]


def _live(chosen: Chosen, spread: Spread, *, as_json: bool) -> int:
    screen = silent.screen(as_json=as_json)
    began_s = time.monotonic()
    tell = Lines(screen, len(chosen.members)).ended
    results = all_of(chosen, looking, Order(), tell, spread, screen.say)
    seconds = time.monotonic() - began_s
    if as_json:
        print(json_format.dumps(results_document(results, seconds), indent=2))
        return worst_exit_code(results)
    from deploy.report.console import Screen

    head = ("host", "runs", "release", "version", "up", "received", "sent", "Telegram")
    Screen().table("", head, [_now(result) for result in results])
    show_results(screen, results, seconds)
    return worst_exit_code(results)


def _now(result: Result) -> tuple[str, ...]:
    said = result.document or {}
    up = f"{said['uptime_s']} s" if "uptime_s" in said else ""
    runs = "yes" if said.get("running") else "no" if "running" in said else result.state.value
    parts = [str(said.get(name, "")) for name in ("version", "received", "sent", "telegram")]
    return (result.member, runs, _short(result.release), parts[0], up, *parts[1:])


def _show_rollout(text: str, *, as_json: bool) -> int:
    from deploy.cli.fleet import ended
    from deploy.fleet.rollouts import Rollouts

    with Rollouts() as kept:
        found = kept.one(text)
        results = kept.results(found.id, documents=as_json)
        holder = kept.holder(found.id)
    code = ended.exit_code(results, found.phase, missed=found.phase is Phase.STOPPED)
    if as_json:
        document = ended.document(found, results, (), code, 0.0)
        by = None if holder is None else {"pid": holder.pid, "since": holder.since}
        print(json_format.dumps(document | {"carried_out_by": by}, indent=2))
        return code
    screen = silent.screen(as_json=False)
    if holder is not None:
        screen.say(f"process {holder.pid} carries it out, since {holder.since}")
    elif found.phase is Phase.RUNNING:
        found = replace(found, why="no process carries it out any more")
    ended.show(screen, found, results)
    return code


@task(help=help_for("json", last="only the last so many"), auto_shortflags=False)
@command
def rollouts(context: Context, last: str = "20", json: bool = False) -> int:
    """List the rollouts that this machine has begun, the newest first."""
    from deploy.cli.options import count
    from deploy.fleet.rollouts import Rollouts
    from deploy.report.console import Screen

    with Rollouts() as kept:
        found = [(each, kept.results(each.id, documents=False)) for each in kept.all(last=count(last, "last"))]
    rows = []
    for each, results in found:
        members = [name for wave in each.waves for name in wave.members]
        rows.append((each, counts_of(members, results)))
    if json:
        listed = [
            {
                "id": each.id,
                "begun_at": each.begun_at,
                "phase": each.phase.value,
                "why": each.why,
                "inventory": each.inventory,
                "counts": {state.value: count for state, count in counts.items()},
            }
            for each, counts in rows
        ]
        print(json_format.dumps({"rollouts": listed}, indent=2))
        return 0
    if not rows:
        Screen().say(f"no rollout is kept on this machine ({PROGRAM} fleet.deploy begins one)")
        return 0
    cells = [(each.id, each.phase.value, totals_line(counts), each.inventory) for each, counts in rows]
    Screen().table("", ("rollout", "is", "hosts", "inventory"), cells)
    return 0


@task(
    help=help_for(
        "json",
        **HELP,
        **SPREAD_HELP,
        rollout=f"{ROLLOUT_HELP}: the hosts that it gave a new release, and the release they had before",
        release="the id of another release than the one before; the same on every host",
    ),
    auto_shortflags=False,
)
@command
def rollback(
    context: Context,
    inventory: str = "",
    limit: str = "",
    rollout: str = "",
    release: str = "",
    at_once: str = "32",
    scheduler: str = "",
    local_cluster: str = "",
    json: bool = False,
) -> int:
    """Lead hosts back to the release before, each with the config by which it ran; put back where it is not ready.

    Exit codes: 0 all of them run it, 4 a host failed or is out of reach: there the release of now runs on.
    """
    from deploy.cli.fleet.deploying import leading_back
    from deploy.fleet.rollouts import Rollouts

    if rollout and release:
        raise UsageError("--rollout and --release both say which release: take one of them")
    back: dict[str, str] = {}
    if rollout:
        with Rollouts() as kept:
            found = kept.one(rollout)
            back = {
                name: result.release_before
                for name, result in kept.results(found.id, documents=False).items()
                if result.state is State.DEPLOYED and result.release_before
            }
        inventory = inventory or found.inventory
        if not back:
            raise UsageError(f"rollout {found.id} gave no host a release in place of another one")
    chosen = choose(inventory, limit, at_once)
    if back:
        chosen = replace(chosen, members=tuple(member for member in chosen.members if member.name in back))
    chosen = replace(chosen, members=with_records(chosen.members))
    screen = silent.screen(as_json=json)
    began_s = time.monotonic()
    tell = Lines(screen, len(chosen.members)).ended
    spread = spread_of(scheduler, local_cluster)
    results = all_of(chosen, partial(leading_back, releases=back), Order(release=release), tell, spread, screen.say)
    if rollout:
        with Rollouts() as kept:
            for result in (each for each in results if each.state is State.ROLLED_BACK):
                kept.put(found.id, replace(result, wave=_wave_of(found, result.member)))
    seconds = time.monotonic() - began_s
    if json:
        print(json_format.dumps(results_document(results, seconds), indent=2))
    else:
        show_results(screen, results, seconds)
    return worst_exit_code(results)


def _wave_of(rollout: Rollout, member: str) -> int:
    return next(wave.number for wave in rollout.waves if member in wave.members)
