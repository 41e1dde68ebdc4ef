"""`deploy`: the whole way from a source to a reading, on one host."""

from __future__ import annotations

import json as json_format
import time
from contextlib import closing, suppress

from invoke.context import Context
from invoke.tasks import task

from deploy import deployments
from deploy.cli import history, options, probing
from deploy.cli.claims import record_of
from deploy.cli.dry_run import show_rehearsal
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.planning import Wishes, plan_for
from deploy.cli.reaching import Place
from deploy.cli.secret_sources import Sources
from deploy.cli.taking import taker
from deploy.cli.wording import PROGRAM
from deploy.errors import UsageError
from deploy.interrupts import held_interrupts
from deploy.report import silent
from deploy.report.documents import deployment_document
from deploy.report.silent import Shows
from deploy.report.summary import artifact_rows, evidence_rows, process_rows, reading_rows
from deploy.steps.face import Job


@task(
    help=help_for(
        "board",
        "host",
        "emulate",
        "source",
        "package",
        "command",
        "tags",
        "ldflags",
        "version",
        "prefix",
        "token_file",
        "token_command",
        "token_keyring",
        "api_key_file",
        "api_key_command",
        "api_key_keyring",
        "base_url",
        "ca_file",
        "ca",
        "set_clock",
        "config_file",
        "port",
        "memory_limit",
        "gc_percent",
        "max_procs",
        "hard_limit",
        "service",
        "messages",
        "budget",
        "peak_budget",
        "gate_memory",
        "measure",
        "explain",
        "keep",
        "dry_run",
        "json",
        "accept_new_host_key",
        "identity",
        user="the user that the gateway runs as, made where there is none; root for none of its own",
    ),
    auto_shortflags=False,
)
@command
def deploy(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
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
    messages: str = "50",
    budget: str = "",
    peak_budget: str = "",
    gate_memory: bool = False,
    measure: bool = True,
    explain: bool = False,
    keep: bool = True,
    dry_run: bool = False,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Build the gateway, put it on a board, start it under its limits, and measure it.

    Try it without a board: invoke deploy --board local, or invoke deploy --board licheerv --emulate.
    With --host alone the host is asked which board it is (see boards.probe).

    Exit codes: 0 PASS, 1 FAIL, 2 wrong usage, 3 NOT MEASURED, 4 the host is out of reach or refused.
    """
    from deploy.pipeline import carry_out, deployment, rehearse

    held_to = options.budget(budget, peak_budget)
    if gate_memory and not measure:
        raise UsageError("--gate-memory needs the reading that --no-measure leaves out")
    burst = options.count(messages, "messages", most=options.MOST_MESSAGES)
    wishes = Wishes(
        source=source,
        package=package,
        command=command,
        tags=tags,
        ldflags=ldflags,
        version=version,
        prefix=prefix,
        token=Sources(token_file, token_command, token_keyring),
        api_key=Sources(api_key_file, api_key_command, api_key_keyring),
        base_url=base_url,
        ca_file=ca_file,
        ca=ca,
        set_clock=set_clock,
        config_file=config_file,
        port=port,
        memory_limit=memory_limit,
        gc_percent=gc_percent,
        max_procs=max_procs,
        hard_limit=hard_limit,
        service=service,
        user=user,
    )
    screen = silent.screen(as_json=json)
    where = probing.Where(board, host, emulate, accept_new_host_key, identity)
    with probing.seat(where, keep=not dry_run, screen=screen) as place:
        plan = plan_for(place, wishes)
        if not json:
            screen.say(f"Deploying to {place.board.name}, {place.board.title}, at {place.host}")
        began_s = time.monotonic()
        with closing(where.connect(place)) as transport:
            job = Job(plan, transport)
            steps = deployment(
                taker(place, held_to, burst) if measure else None, set_clock=plan.set_clock, gate=gate_memory
            )
            with screen.steps() as observer:
                if dry_run:
                    show_rehearsal(rehearse(steps, job, observer), screen, as_json=json)
                    return 0
                try:
                    records = carry_out(steps, job, observer)
                    _remember(job, place)
                except BaseException as error:
                    if job.committed:  # also where the reading failed or was cut off
                        error.add_note(f"release {job.release_id} runs")
                        with suppress(KeyboardInterrupt):
                            _remember(job, place)
                    raise
        seconds = time.monotonic() - began_s
        document = deployment_document(job, records, board=place.board.name, host=str(place.host), seconds=seconds)
        document["history"] = history.kept(document, wanted=keep)
        if json:
            print(json_format.dumps(document | ({"recognised_by": place.why} if place.why else {}), indent=2))
        else:
            show_deployment(screen, job, place, explain=explain)
    return job.verdict.outcome.exit_code if job.verdict else 0


def _remember(job: Job, place: Place) -> None:
    try:
        with held_interrupts():
            deployments.remember(record_of(job, place))
    except OSError as error:
        error.add_note("the new release runs, but there is no record of it to hold a later reading against")
        raise


def show_deployment(screen: Shows, job: Job, place: Place, *, explain: bool) -> None:
    """The table at the end, and what to try next."""
    rows = artifact_rows(job.built)
    rows.append(("pushed to", f"{job.transport.host}:{job.layout.binary(job.release_id)}"))
    if job.process:
        rows += process_rows(job.process, job.plan.limits)
    if job.reading and job.verdict:
        rows += reading_rows(job.reading, job.verdict)
    screen.pairs("Deployed", rows)
    if explain and job.reading:
        screen.pairs("Evidence", evidence_rows(job.reading))
    screen.say("\n".join(next_commands(place, is_gateway=job.plan.command is None)))


def next_commands(place: Place, *, is_gateway: bool = True) -> list[str]:
    """What a newcomer can try now, each with what it is for."""
    flags = place.flags
    commands = [(f"memory {flags} --explain", "every proof behind the figure")]
    if place.kept is not None and is_gateway:
        commands.insert(0, (f"chat {flags}", "talk to the gateway as a user would"))
        commands.append((f"memory.live {flags} --messages 200", "more messages, and the figure after them"))
    commands.append((f"status {flags}", "also: logs, stop, start, restart, uninstall"))
    if place.kept is not None:
        commands.append((f"emulate.down --board {place.board.name}", "stop it all and leave nothing behind"))
    width = max(len(command) for command, _ in commands)
    return ["Try next:", *(f"  {PROGRAM} {command:<{width}}  {meaning}" for command, meaning in commands)]
