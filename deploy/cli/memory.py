"""`memory`, `memory.live`: what the gateway on a host really uses, with evidence and a verdict."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from contextlib import closing

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from deploy.cli import as_user as as_user_flags
from deploy.cli import bench, compare, history, ladder, options, profile, reaching, watch
from deploy.cli.claims import Claim, Claimed, claim, document_of, strangers_claim
from deploy.cli.ending import command
from deploy.cli.options import MOST_MESSAGES, help_for
from deploy.cli.reaching import Place
from deploy.cli.taking import live_of, real_of
from deploy.errors import UsageError
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Outcome
from deploy.report import silent
from deploy.report.summary import evidence_rows, reading_rows
from deploy.steps.face import Observer
from deploy.transport.protocol import Transport

HELP = help_for(
    "board",
    "host",
    "emulate",
    "prefix",
    "budget",
    "peak_budget",
    "explain",
    "keep",
    "json",
    "accept_new_host_key",
    "identity",
    sha256="the hash that its executable is claimed to have; without it, what was deployed to this host last",
    memory_limit="the GOMEMLIMIT that the process is claimed to run under; without it, what the deployment set",
    gc_percent="the GOGC that it is claimed to run under",
    max_procs="the GOMAXPROCS that it is claimed to run under",
)


NAMED = {
    "pid": "this process instead of the gateway",
    "exe": "the process that executes this file (a path, or its last part), whoever started it",
    "name": "the process of this name, whoever started it",
    "unit": "the process of this service, whoever wrote it: a unit of systemd, or NAME.pid under /run",
}


@task(name="idle", default=True, help=HELP | help_for(**NAMED), auto_shortflags=False)
@command
def idle(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    pid: str = "",
    exe: str = "",
    name: str = "",
    unit: str = "",
    sha256: str = "",
    prefix: str = "",
    memory_limit: str = "",
    gc_percent: str = "",
    max_procs: str = "",
    budget: str = "",
    peak_budget: str = "",
    explain: bool = False,
    keep: bool = True,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Read the memory of the gateway, or of any process of any host, as it stands, asking nothing of it.

    A process that slimdeploy did not start (--host with --exe, --name, --unit or --pid) needs no --board. What is not
    claimed of it (--sha256, --memory-limit …) is not asked, and the verdict says so.

    Exit codes: 0 PASS, 1 FAIL, 2 wrong usage, 3 NOT MEASURED, 4 the host is out of reach.
    """
    held_to = options.budget(budget, peak_budget)
    claimed = Claimed(sha256, pid, memory_limit, gc_percent, max_procs, exe, name, unit)

    def take(transport: Transport, place: Place, held: Claim, observer: Observer) -> Reading:
        from deploy.memory.idle import idle_reading

        observer.note("sampling until VmRSS is steady")
        return idle_reading(transport, held.subject, circumstances=held.circumstances)

    def login(place: Place) -> Transport:
        return reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)

    if host and not board and not emulate and (claimed.of_a_stranger or pid):
        place = reaching.any_host(host)
    else:
        place = reaching.choose(board, host, emulate=emulate)
    return _read(place, login, prefix, claimed, held_to, take, explain=explain, keep=keep, json=json)


LOAD = {
    "deadline": "how many seconds all of them may take",
    "kinds": "what users write, by turns: short,long,markdown,emoji,group,caption,edit, some of them, or all",
    "rate": "how many of them a second; without it all at once",
    "real": "send nothing: wait until so many messages of people have been answered, through the deployed Bot API",
    "in_place": "measure the gateway in service itself: it talks to a stand-in meanwhile, and to its Bot API again",
}


@task(name="live", help=HELP | help_for("messages", **LOAD, **as_user_flags.HELP), auto_shortflags=False)
@command
def live(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    messages: str = "50",
    kinds: str = "short",
    rate: str = "",
    in_place: bool = False,
    real: bool = False,
    as_user: bool = False,
    bot: str = "",
    api_file: str = "",
    session: str = "",
    deadline: str = "120",
    sha256: str = "",
    prefix: str = "",
    memory_limit: str = "",
    gc_percent: str = "",
    max_procs: str = "",
    budget: str = "",
    peak_budget: str = "",
    explain: bool = False,
    keep: bool = True,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Send the gateway messages over TLS, count them at both ends, then read its memory.

    Exit codes: 0 PASS, 1 FAIL, 2 wrong usage, 3 NOT MEASURED, 4 the host is out of reach.
    """
    held_to = options.budget(budget, peak_budget)
    claimed = Claimed(sha256, "", memory_limit, gc_percent, max_procs)
    burst = options.count(messages, "messages", most=MOST_MESSAGES)
    within_s = options.count(deadline, "deadline", most=3600)
    rate_hz = options.rate_hz(rate)
    if real and in_place:
        raise UsageError("--real is about the gateway in service already: it goes without --in-place")
    if real and not as_user and (rate or kinds != "short"):
        raise UsageError("--real leaves the writing to people: it goes without --rate and --kinds, or with --as-user")
    if not as_user and (bot or api_file or session):
        raise UsageError("--bot, --api-file and --session are for --as-user")
    if as_user and not real:
        raise UsageError("--as-user writes through the real Telegram: say --real too")
    written = () if as_user else options.kinds(kinds)
    user = as_user_flags.AsUser(bot, api_file, session, kinds, rate_hz) if as_user else None

    def take(transport: Transport, place: Place, held: Claim, observer: Observer) -> Reading:
        from deploy.cli.service import manager_of
        from deploy.memory.live import Load

        if real:
            return real_of(transport, held, burst, within_s, observer, send)
        led = manager_of(reaching.installed(transport, place, prefix), place) if in_place else None
        return live_of(place, transport, held, Load(burst, within_s, written, rate_hz), observer, led=led)

    def login(place: Place) -> Transport:
        return reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)

    place = reaching.choose(board, host, emulate=emulate)
    send = user.sender(burst, within_s, silent.screen(as_json=json).say) if user else None
    return _read(place, login, prefix, claimed, held_to, take, explain=explain, keep=keep, json=json)


def _read(
    place: Place,
    login: Callable[[Place], Transport],
    prefix: str,
    claimed: Claimed,
    budget: Budget,
    take: Callable[[Transport, Place, Claim, Observer], Reading],
    *,
    explain: bool,
    keep: bool,
    json: bool,
) -> int:
    """Connect, find out what is claimed, take the reading, judge it, show it; the verdict's exit code."""
    from deploy.memory.budget import judge

    screen = silent.screen(as_json=json)
    # A claim that makes no sense is refused before anybody is called.
    strangers = strangers_claim(place, claimed) if claimed.of_a_stranger or not place.board.name else None
    with closing(login(place)) as transport, screen.steps() as observer:
        held = strangers or claim(place, reaching.installed(transport, place, prefix).layout, claimed)
        observer.started("Measure")
        reading = take(transport, place, held, observer)
    verdict = judge(reading, budget)
    document = document_of(reading, verdict, place, held)
    document["history"] = history.kept(document, wanted=keep)
    if json:
        print(json_format.dumps(document, indent=2))
    else:
        screen.pairs(f"{place.board.name or 'a process'} at {place.host}", reading_rows(reading, verdict))
        if explain:
            screen.pairs("Evidence", evidence_rows(reading))
        elif verdict.outcome is Outcome.NOT_MEASURED:
            screen.say("Every proof, held or missing: add --explain")
    return verdict.outcome.exit_code


def collection() -> Collection:
    """`memory` and its commands."""
    return Collection(
        "memory",
        idle,
        live,
        watch.watching,
        bench.bench,
        profile.profile,
        ladder.ladder,
        compare.compare,
        history.history,
        history.show,
        history.export,
    )
