"""`memory.bench`: what the gateway's message path takes on a board, phase by phase, held against the kernel."""

from __future__ import annotations

import json as json_format
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import history, options, reaching
from deploy.cli.claims import Claim, circumstances_of, document_of
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.reaching import Place
from deploy.errors import UsageError
from deploy.model.artifact import Artifact
from deploy.model.limits import Limits
from deploy.model.reading import Reading
from deploy.model.verdict import Outcome, Verdict
from deploy.report import silent
from deploy.report.summary import evidence_rows, phase_rows, reading_rows
from deploy.transport.protocol import Transport

PACKAGE = "./cmd/membench"


@task(
    help=help_for(
        "board",
        "host",
        "emulate",
        "prefix",
        "budget",
        "peak_budget",
        "memory_limit",
        "gc_percent",
        "max_procs",
        "hard_limit",
        "explain",
        "keep",
        "json",
        "accept_new_host_key",
        "identity",
        messages="how many messages go through the path",
        kinds="what they are, by turns: short,4k,markdown,emoji,group,command,long,unmentioned,photo,edited, or all",
        deadline="how many seconds one phase may take",
        tags="build tags, with commas between; without it the board's",
    ),
    auto_shortflags=False,
)
@command
def bench(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    messages: str = "1000",
    kinds: str = "short",
    deadline: str = "120",
    tags: str = "",
    prefix: str = "",
    memory_limit: str = "",
    gc_percent: str = "",
    max_procs: str = "",
    hard_limit: str = "",
    budget: str = "",
    peak_budget: str = "",
    explain: bool = False,
    keep: bool = True,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Run membench on the board under the gateway's limits, and hold each of its five phases against the kernel.

    It is the gateway's message path with simulated messages: no network, no TLS, and no gateway has to be installed.
    Exit codes: 0 PASS, 1 FAIL, 2 wrong usage, 3 NOT MEASURED, 4 the host is out of reach.
    """
    from deploy.memory.bench import Work, bench_reading
    from deploy.memory.bench_place import bench_running
    from deploy.memory.budget import judge

    held_to = options.budget(budget, peak_budget)
    work = Work(
        options.count(messages, "messages", most=1_000_000),
        kinds_of(kinds),
        options.count(deadline, "deadline", most=3600),
    )
    chosen = reaching.board_called(board)
    base = options.limits(chosen.limits, memory_limit, gc_percent, max_procs, hard_limit)
    screen = silent.screen(as_json=json)
    with ExitStack() as stack:
        place = stack.enter_context(reaching.seat(board, host, emulate=emulate, keep=False, screen=screen))
        built = _built(place, tags, screen)
        connected = reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)
        transport, observer = stack.enter_context(closing(connected)), stack.enter_context(screen.steps())
        home = _home(transport, place, prefix)
        limits = options.limits(home.limits, memory_limit, gc_percent, max_procs, hard_limit) if home.limits else base
        observer.started("Bench")
        about = place.circumstances | circumstances_of(built)
        with bench_running(
            transport,
            home.prefix,
            built.path,
            built.sha256,
            built.release_id,
            limits,
            work,
            user=home.user,
            is_installed=home.is_installed,
            note=observer.note,
        ) as subject:
            reading = bench_reading(
                transport, subject, work, circumstances=about, progress=observer.progress, note=observer.note
            )
    verdict = judge(reading, held_to)
    document = document_of(reading, verdict, place, Claim(subject, 0, about))
    document["history"] = history.kept(document, wanted=keep)
    if json:
        print(json_format.dumps(document, indent=2))
    else:
        _show(screen, place, reading, verdict, explain=explain)
    return verdict.outcome.exit_code


def _show(screen: Any, place: Place, reading: Reading, verdict: Verdict, *, explain: bool) -> None:
    if verdict.outcome is not Outcome.NOT_MEASURED:
        screen.table("", *phase_rows(reading))
        screen.say("In KiB. Told: by membench itself. VmRSS, page tables: by the kernel, while it stood still.")
        screen.say("Heap: what is allocated, of what Go has mapped for it; GCs: collections of garbage so far.")
    screen.pairs(f"{place.board.name} at {place.host}", reading_rows(reading, verdict))
    if explain:
        screen.pairs("Evidence", evidence_rows(reading))
    elif verdict.outcome is Outcome.NOT_MEASURED:
        screen.say("Every proof, held or missing: add --explain")


def kinds_of(text: str) -> tuple[str, ...]:
    """The kinds that --kinds names. Raises UsageError."""
    from deploy.board_shell.bench import KINDS

    named = options.words(text)
    if named == ("all",):
        return KINDS
    if not named or (unknown := [word for word in named if word not in KINDS]):
        what = f"not {unknown[0]!r}" if named else "at least one of them"
        raise UsageError(f"--kinds takes {', '.join(KINDS)} or all, and {what}")
    return named


@dataclass(frozen=True, slots=True)
class _Home:
    """Where the bench may lie, and how the gateway there runs: its limits (None where nothing says so), its user."""

    prefix: str
    is_installed: bool
    limits: Limits | None = None
    user: str = ""


def _home(transport: Transport, place: Place, prefix: str) -> _Home:
    from deploy import deployments

    found = reaching.located(transport, place, prefix)
    if found is None:
        return _Home(options.prefix(prefix) or place.board.prefix, is_installed=False)
    record = deployments.recall(place.board.name, str(place.host), place.machine)
    if record is None or record.prefix != found.layout.prefix:
        return _Home(found.layout.prefix, is_installed=True, user=found.user)
    return _Home(found.layout.prefix, is_installed=True, limits=record.limits, user=record.user)


def _built(place: Place, tags: str, screen: Any) -> Artifact:
    from deploy.build import build, find_built
    from deploy.cli.planning import Wishes, source_of
    from deploy.toolchain import find

    source, go = source_of(Wishes(package=PACKAGE, tags=tags), place.board.tags), find()
    target = place.board.target
    return find_built(source, target, "", go) or build(source, target, "", go, note=screen.say)
