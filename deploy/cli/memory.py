"""`memory`, `memory.live`: what the gateway on a host really uses, with evidence and a verdict."""

from __future__ import annotations

import json as json_format
from contextlib import closing

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options, reaching
from deploy.cli.claims import claim
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Verdict

HELP = help_for(
    "board",
    "host",
    "prefix",
    "budget",
    "peak_budget",
    "explain",
    "json",
    "accept_new_host_key",
    "identity",
    memory_limit="the GOMEMLIMIT that the process is claimed to run under; without it what the deployment set",
    gc_percent="the GOGC that it is claimed to run under",
    max_procs="the GOMAXPROCS that it is claimed to run under",
    sha256="the hash that its executable is claimed to have; without it what was built for this board last",
)


@task(name="idle", default=True, help=HELP | help_for(pid="this process instead of the gateway"), auto_shortflags=False)
@command
def idle(
    context: Context,
    board: str,
    host: str = "",
    pid: str = "",
    sha256: str = "",
    prefix: str = "",
    memory_limit: str = "",
    gc_percent: str = "",
    max_procs: str = "",
    budget: str = "",
    peak_budget: str = "",
    explain: bool = False,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Read the memory of the gateway as it stands, asking nothing of it. Exit codes: 0 PASS, 1 FAIL, 3 NOT MEASURED."""
    from deploy.memory.budget import judge
    from deploy.memory.idle import idle_reading

    held_to = options.budget(budget, peak_budget)
    asked_pid = options.count(pid, "pid", most=4_194_304) if pid else None
    place = reaching.choose(board, host)
    with closing(reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)) as transport:
        layout = reaching.installed_layout(transport, place, prefix)
        limits = options.limits(place.board.limits, memory_limit, gc_percent, max_procs)
        subject, circumstances = claim(transport, place, layout, limits, sha256=sha256, pid=asked_pid)
        reading = idle_reading(transport, subject, circumstances=circumstances)
    return _end(reading, judge(reading, held_to), place, held_to, explain=explain, json=json)
