"""`fleet.list`, `fleet.memory`, `fleet.run`: what a fleet is, what it takes, and what its hosts answer."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy import history
from deploy.cli import options
from deploy.cli.ending import command
from deploy.cli.fleet import deeds
from deploy.cli.fleet.choosing import HELP, Chosen, choose, show_notes
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.remembering import book, with_records
from deploy.cli.fleet.spreading import HELP as SPREAD_HELP
from deploy.cli.fleet.spreading import HERE, Spread, spread_of, workforce
from deploy.cli.fleet.telling import Lines, results_document, show_results, worst_exit_code
from deploy.cli.options import help_for
from deploy.fleet.pool import Deed, each_of, with_last_tries
from deploy.model.rollout import Result
from deploy.model.units import show_hosts
from deploy.report import silent

_FLAGS = help_for("json", **HELP, **SPREAD_HELP)


@task(
    name="list",
    default=True,
    help=help_for("json", inventory=HELP["inventory"], limit=HELP["limit"]),
    auto_shortflags=False,
)
@command
def listing(context: Context, inventory: str = "", limit: str = "", json: bool = False) -> int:
    """List the hosts of a fleet with their boards and groups. No host is asked."""
    from deploy.report.console import Screen

    chosen = choose(inventory, limit, "1")
    if json:
        print(json_format.dumps(_listed(chosen), indent=2))
        return 0
    rows = [
        (member.name, str(member.host), member.board or "?", member.site, " ".join(sorted(member.groups)))
        for member in chosen.members
    ]
    screen = Screen()
    head = ("name", "host", "board", "site", "groups")
    screen.table(f"{show_hosts(len(rows))} of {chosen.inventory.source}", head, rows)
    show_notes(screen, chosen)
    return 0


def _listed(chosen: Chosen) -> dict[str, Any]:
    return {
        "inventory": chosen.inventory.source,
        "notes": list(chosen.inventory.notes),
        "hosts": [
            {
                "name": member.name,
                "host": str(member.host),
                "board": member.board or None,
                "site": member.site,
                "groups": sorted(member.groups),
                "settings": dict(member.settings),
                "provisioning": dict(member.provisioning),
                "from": member.origin,
            }
            for member in chosen.members
        ],
    }


@task(help=_FLAGS | help_for("budget", "peak_budget", "keep"), auto_shortflags=False)
@command
def memory(
    context: Context,
    inventory: str = "",
    limit: str = "",
    at_once: str = "256",
    budget: str = "",
    peak_budget: str = "",
    keep: bool = True,
    scheduler: str = "",
    local_cluster: str = "",
    json: bool = False,
) -> int:
    """Read the memory of the gateway on every host, as `memory` does on one; each reading has its evidence and verdict.

    Hosts out of reach are tried once more at the end.
    Exit codes: 0 all PASS, 1 a FAIL, 3 one that is NOT MEASURED, 4 a host that is out of reach or refused.
    """
    order = Order(budget=options.budget(budget, peak_budget), keep=keep)
    spread, chosen = spread_of(scheduler, local_cluster), choose(inventory, limit, at_once)
    chosen = replace(chosen, members=with_records(chosen.members))
    return _over(chosen, deeds.reading, order, spread, as_json=json, last_tries=True)


def _over(
    chosen: Chosen,
    deed: Callable[[Order], Deed],
    order: Order,
    spread: Spread,
    *,
    as_json: bool,
    last_tries: bool = False,
) -> int:
    screen = silent.screen(as_json=as_json)
    show_notes(screen, chosen)
    began_s = time.monotonic()
    tell = Lines(screen, len(chosen.members)).ended
    results = all_of(chosen, deed, order, tell, spread, screen.say, last_tries=last_tries)
    seconds = time.monotonic() - began_s
    if as_json:
        print(json_format.dumps(results_document(results, seconds), indent=2))
    else:
        show_results(screen, results, seconds)
    return worst_exit_code(results)


def all_of(
    chosen: Chosen,
    deed: Callable[[Order], Deed],
    order: Order,
    tell: Callable[[Result], None],
    spread: Spread = HERE,
    say: Callable[[str], None] = lambda _: None,
    *,
    last_tries: bool = False,
) -> Sequence[Result]:
    """The results in the inventory's order, written down as they come; `tell` hears of each then.

    `say` is told who carries it out, where it is not this process. `last_tries`: see `with_last_tries`.
    Raises BadCluster before any host is touched.
    """
    found: dict[str, Result] = {}
    enter = book(keep=order.keep)
    with history.held_open(), workforce(spread, chosen.members, chosen.at_once, say) as force:
        members, given = force.ready(chosen.members, order)
        tried = (members, deed(given), force, chosen.at_once)
        for result in with_last_tries(*tried, say) if last_tries else each_of(*tried):
            found[result.member] = entered = enter(result)
            tell(entered)
    return [found[member.name] for member in chosen.members]


@task(
    help=_FLAGS
    | help_for(
        deadline="how long it may take on a host, such as 60s",
        script="what each host's own sh runs, such as 'uptime'; its status becomes the host's",
    ),
    auto_shortflags=False,
)
@command
def run(
    context: Context,
    script: str,
    inventory: str = "",
    limit: str = "",
    at_once: str = "64",
    deadline: str = "60s",
    scheduler: str = "",
    local_cluster: str = "",
    json: bool = False,
) -> int:
    """Run a script in the shell of every host, and show what each printed; equal answers once.

    Exit codes: 0 all ended with 0, 4 a host is out of reach, or its script ended otherwise.
    """
    order = Order(script=script, script_s=options.duration_s(deadline, "deadline", least=1.0, most=3600.0))
    spread = spread_of(scheduler, local_cluster)
    return _over(choose(inventory, limit, at_once), deeds.running, order, spread, as_json=json)
