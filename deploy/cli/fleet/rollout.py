"""`fleet.deploy|resume|pause|abort`: the flags of a rollout over a fleet; carrying it out is `rolling.py`'s."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options
from deploy.cli.ending import command
from deploy.cli.files import named
from deploy.cli.fleet.choosing import HELP, ROLLOUT_HELP, SOURCE
from deploy.cli.fleet.spreading import HELP as SPREAD_HELP
from deploy.cli.fleet.spreading import spread_of
from deploy.cli.options import help_for
from deploy.errors import UsageError
from deploy.model.fleet import SETTINGS

_POLICY_HELP = {
    "waves": "how many hosts come first, then, and so on: numbers or shares of the fleet, such as 1,5%,25%,rest",
    "gate": "what has to hold of each wave before the next (may stand several times): p95-rss<=5MiB, pass-share>=99%",
    "max_fail": "how many hosts may fail before it stops: a number, or a share such as 5%",
    "on_failure": "what a missed gate brings about: stop, rollback (the hosts of that wave) or continue",
    "pause": "how long to wait between two waves, such as 10m",
    "junit": "write the result as JUnit XML to this file, for CI systems",
}


@task(
    iterable=["gate"],
    help=help_for(
        *SOURCE,
        *sorted(SETTINGS - {"user"}),
        "budget",
        "peak_budget",
        "gate_memory",
        "keep",
        "json",
        "measure",
        **(
            HELP
            | SPREAD_HELP
            | _POLICY_HELP
            | {"dry_run": "ask the hosts and show what would be done; nothing is changed"}
        ),
    )
    | help_for(user="the user that the gateway runs as on each host; root for none of its own"),
    auto_shortflags=False,
)
@command
def deploy(
    context: Context,
    inventory: str = "",
    limit: str = "",
    at_once: str = "32",
    waves: str = "rest",
    gate: list[str] = [],  # noqa: B006  Invoke wants a list here, and gives a new one
    max_fail: str = "0",
    on_failure: str = "stop",
    pause: str = "",
    source: str = "",
    package: str = "",
    command: str = "",
    tags: str = "",
    ldflags: str = "",
    version: str = "",
    prefix: str = "",
    token_file: str = "",
    token_command: str = "",
    token_keyring: str = "",
    api_key_file: str = "",
    api_key_command: str = "",
    api_key_keyring: str = "",
    base_url: str = "",
    ca_file: str = "",
    ca: str = "",
    set_clock: bool = False,
    config_file: str = "",
    port: str = "",
    memory_limit: str = "",
    gc_percent: str = "",
    max_procs: str = "",
    hard_limit: str = "",
    service: str = "",
    user: str = "",
    identity: str = "",
    accept_new_host_key: bool = False,
    budget: str = "",
    peak_budget: str = "",
    gate_memory: bool = False,
    measure: bool = True,
    keep: bool = True,
    junit: str = "",
    scheduler: str = "",
    local_cluster: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Deploy to every host of a fleet, wave after wave; what goes wrong stops it before it is everywhere.

    Each host is deployed to as `deploy` does it: what fails there is put back there. Flags go before what the inventory
    says of a host; {name} and {address} in a file's or command's name are the host's.

    Exit codes: 0 all hosts PASS, 1 a FAIL or a missed gate, 2 wrong usage, 3 NOT MEASURED, 4 a host failed or is out of
    reach, or the rollout has hosts left.
    """
    from deploy.cli.fleet import rolling

    given = locals()
    if not measure and (gate_memory or gate or budget or peak_budget):
        raise UsageError("--gate, --gate-memory and the budgets need the readings that --no-measure leaves out")
    options.budget(budget, peak_budget)
    policy = rolling.policy_of(waves, gate, max_fail, on_failure, pause, at_once)
    asked: dict[str, str | bool] = {name: given[name] for name in (*sorted(SETTINGS), *SOURCE) if given[name]}
    asked |= {name: given[name] for name in ("budget", "peak_budget", "keep", "measure", "gate_memory")}
    begin = rolling.rehearse if dry_run else rolling.begin
    to = named(junit, "junit") if junit else None
    spread = spread_of(scheduler, local_cluster)
    return begin(rolling.Asked(inventory, limit, policy, asked, spread), as_json=json, junit=to)


@task(
    positional=["rollout"],
    help=help_for("json", junit=_POLICY_HELP["junit"], rollout=ROLLOUT_HELP, **SPREAD_HELP),
    auto_shortflags=False,
)
@command
def resume(
    context: Context,
    rollout: str,
    junit: str = "",
    scheduler: str = "",
    local_cluster: str = "",
    json: bool = False,
) -> int:
    """Go on with a rollout that was killed, interrupted, paused or stopped: no host twice, none forgotten.

    The hosts that are left get the same binary and the same settings; those that were out of reach are tried again.
    Exit codes as fleet.deploy.
    """
    from deploy.cli.fleet import rolling

    to = named(junit, "junit") if junit else None
    return rolling.resume(rollout, spread_of(scheduler, local_cluster), as_json=json, junit=to)


@task(positional=["rollout"], help=help_for(rollout=ROLLOUT_HELP), auto_shortflags=False)
@command
def pause(context: Context, rollout: str) -> int:
    """Ask a rollout that another process carries out to stop after its wave; fleet.resume goes on."""
    from deploy.cli.fleet.rolling import ask

    return ask(rollout, "pause", "it stops after the wave that is under way")


@task(positional=["rollout"], help=help_for(rollout=ROLLOUT_HELP), auto_shortflags=False)
@command
def abort(context: Context, rollout: str) -> int:
    """End a rollout for good: hosts under way come to their end, no other is begun. What was deployed stays."""
    from deploy.cli.fleet.rolling import ask

    return ask(rollout, "abort", "hosts under way come to their end, and no other is begun")
