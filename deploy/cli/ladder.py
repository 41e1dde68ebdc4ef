"""`memory.ladder`: how far the limits of the gateway on a host can go down, and what that costs."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options, reaching
from deploy.cli.claims import Claim, Claimed, claim
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.wording import PROGRAM
from deploy.errors import NotMeasured
from deploy.model.limits import Limits
from deploy.model.units import KIB, go_size
from deploy.model.verdict import Outcome
from deploy.report import silent
from deploy.steps.face import Observer
from deploy.transport.protocol import Transport


@task(
    help=help_for(
        "board",
        "host",
        "emulate",
        "prefix",
        "messages",
        "json",
        "accept_new_host_key",
        "identity",
        rate="how many messages a second, so that a reply's time is its own",
        deadline="how many seconds the messages of one rung may take",
        memory_limits="the rungs of GOMEMLIMIT, with commas between",
        gc_percents="the rungs of GOGC, with commas between",
        hard="look for the least hard limit too; --no-hard leaves it out",
    ),
    auto_shortflags=False,
)
@command
def ladder(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    prefix: str = "",
    messages: str = "200",
    rate: str = "50",
    deadline: str = "60",
    memory_limits: str = "64MiB,8MiB,5MiB,4MiB,3MiB,2MiB,1MiB",
    gc_percents: str = "200,100,50,20,10",
    hard: bool = True,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Find the smallest limits under which every message is still answered, with their CPU time and latency.

    Each rung is a second instance beside the gateway in service, which is not touched. Exit codes: 0 some rung holds,
    1 none does, 2 wrong usage, 3 NOT MEASURED, 4 the host is out of reach.
    """
    from deploy.memory.ladder import Climbed, soft_rungs
    from deploy.memory.live import Load

    load = Load(
        options.count(messages, "messages", most=options.MOST_MESSAGES),
        options.count(deadline, "deadline", most=3600),
        rate_hz=options.rate_hz(rate),
    )
    memory = [options.size_bytes(word, "memory-limits") for word in options.words(memory_limits)]
    percents = [options.count(word, "gc-percents", most=10_000) for word in options.words(gc_percents)]
    screen = silent.screen(as_json=json)
    place = reaching.choose(board, host, emulate=emulate)
    connected = reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)
    with closing(connected) as transport, screen.steps() as observer:
        held = claim(place, reaching.installed(transport, place, prefix).layout, Claimed())
        base = held.subject.limits or place.board.limits
        rungs = soft_rungs(base, memory, percents)
        climbed: list[Climbed] = []
        observer.started("Climb")
        for name, limits in rungs:
            climbed.append(_climb(transport, held, name, limits, load, observer))
            observer.progress(len(climbed), len(rungs))
        why = ""
        if hard:
            why = _hard(transport, held, base, load, observer, climbed)
    return _show(screen, climbed, base, why, place.flags, as_json=json)


def _climb(transport: Transport, held: Claim, name: str, limits: Limits, load: Any, observer: Observer) -> Any:
    from deploy.memory.rung import climb
    from deploy.model.artifact import RELEASE_ID_LENGTH

    sha256 = held.subject.sha256
    if sha256 is None:
        raise NotMeasured("nothing says which binary is installed")
    observer.note(f"under {_limit(name, limits)}")
    return climb(
        transport,
        held.subject.layout,
        sha256,
        sha256[:RELEASE_ID_LENGTH],
        name,
        limits,
        load,
        user=held.user,
        note=silent.Silent().note,
    )


def _hard(transport: Transport, held: Claim, base: Limits, load: Any, observer: Observer, climbed: list[Any]) -> str:
    """Search for the smallest hard limit; why none could be tried, "" where it was."""
    from deploy.memory.ladder import hard_rungs
    from deploy.memory.rung import NO_CEILING

    peaks = [each.hwm_kib for each in climbed if each.hwm_kib]
    if not peaks:
        return "no rung held that it could begin from"
    search = hard_rungs(max(peaks))
    limit_kib = next(search)
    while True:
        rung = _climb(transport, held, "hard", replace(base, hard_bytes=limit_kib * KIB), load, observer)
        if rung.why == NO_CEILING:
            return str(rung.why)
        climbed.append(rung)
        try:
            limit_kib = search.send(rung.holds)
        except StopIteration:
            return ""


def _show(screen: Any, climbed: Sequence[Any], base: Limits, no_hard: str, flags: str, *, as_json: bool) -> int:
    from deploy.memory.ladder import hard_limit_kib, recommended

    best, ceiling_kib = recommended(climbed), hard_limit_kib(climbed)
    advice = ""
    if best is not None:
        advice = f"{PROGRAM} deploy {flags} --memory-limit {go_size(best.limits.gomemlimit_bytes)}"
        advice += f" --gc-percent {best.limits.gogc_percent}"
        advice += f" --hard-limit {ceiling_kib}KiB" if ceiling_kib else ""
    if as_json:
        document = {
            "rungs": [_document(each) for each in climbed],
            "recommended": advice or None,
            "no_hard_limits": no_hard or None,
        }
        print(json_format.dumps(document, indent=2))
    else:
        head = ("limit", "holds", "VmRSS", "±", "VmHWM", "CPU s", "GCs", "median", "p95")
        screen.table("", head, [_cells(each) for each in climbed])
        screen.say("Sizes in KiB; CPU: what the messages took; median and p95: from a message to its reply, in ms.")
        for each in climbed:
            if each.why:
                screen.say(f"{_limit(each.ladder, each.limits)}: {each.why}")
        if no_hard:
            screen.say(f"hard limits were not tried: {no_hard}")
        screen.say(f"Recommended: {advice}" if advice else "No rung holds.")
    if best is None:
        return Outcome.FAIL.exit_code
    return 0


def _document(each: Any) -> dict[str, Any]:
    limits: Limits = each.limits
    return asdict(each) | {"limits": limits.environment(), "hard_limit_bytes": limits.hard_bytes}


def _limit(name: str, limits: Limits) -> str:
    if name == "hard":
        return f"hard {(limits.hard_bytes or 0) // KIB:,}"
    return f"{name}={limits.environment()[name]}"


def _cells(each: Any) -> tuple[str, ...]:
    sizes = ("" if size is None else f"{size:,}" for size in (each.rss_kib, each.rss_error_kib, each.hwm_kib))
    cpu = "" if each.cpu_s is None else f"{each.cpu_s:.2f}"
    waits = ("" if wait is None else f"{wait * 1000:.1f}" for wait in (each.median_s, each.p95_s))
    collections = "" if each.collections is None else str(each.collections)
    return (_limit(each.ladder, each.limits), "yes" if each.holds else "no", *sizes, cpu, collections, *waits)
