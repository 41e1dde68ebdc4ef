"""`memory.profile`: what stands on the gateway's heap, function by function."""

from __future__ import annotations

import json as json_format
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options, reaching
from deploy.cli.claims import Claim, Claimed, claim
from deploy.cli.ending import command
from deploy.cli.files import named, put
from deploy.cli.options import help_for
from deploy.cli.reaching import Place
from deploy.errors import MachineFault
from deploy.model.artifact import Artifact
from deploy.report import silent
from deploy.steps.face import Observer
from deploy.telegram.counts import BurstCount
from deploy.transport.protocol import Transport

TAG = "pprof"

_FIRST_PORT, _PORTS = 31_000, 1_500
"""Beside those of the second instances' health pages, and below what kernels give out by themselves."""


@task(
    help=help_for(
        "board",
        "host",
        "emulate",
        "prefix",
        "source",
        "package",
        "tags",
        "json",
        "accept_new_host_key",
        "identity",
        messages="how many messages the second instance gets",
        kinds="what users write, by turns: short,long,markdown,emoji,group,caption,edit, some of them, or all",
        deadline="how many seconds all of them may take",
        seconds="what is allocated within so many seconds, while the messages come in; without it what is in use after",
        port="the port of the profiler of the gateway in service, where it has one",
        top="how many functions are shown",
        output="the file for the profile; without it one in slimdeploy's data folder",
    ),
    auto_shortflags=False,
)
@command
def profile(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    messages: str = "200",
    kinds: str = "short",
    deadline: str = "120",
    seconds: str = "",
    port: str = "6060",
    top: str = "20",
    output: str = "",
    source: str = "",
    package: str = "",
    tags: str = "",
    prefix: str = "",
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Pull a heap profile through SSH, keep it, and show `go tool pprof -top` of it.

    Of the gateway in service where it has Go's profiler (tag pprof, PPROF=1); else of a second instance, built
    with that tag, under messages. The profiler costs memory itself: no verdict comes of it.
    Exit codes: 0 fine, 2 wrong usage or a build that failed, 3 which binary is not known, 4 the host is out of reach.
    """
    from deploy.memory.live import Load
    from deploy.memory.profiling import Profile, has_profiler, heap
    from deploy.pprof import top as pprof_top
    from deploy.toolchain import find

    within_s = options.count(seconds, "seconds", most=600) if seconds else 0
    burst = options.count(messages, "messages", most=options.MOST_MESSAGES)
    load = Load(
        burst,
        options.count(deadline, "deadline", most=3600),
        options.kinds(kinds),
        rate_hz=min(burst / within_s, options.MOST_A_SECOND) if within_s else 0.0,
    )
    own_port, rows = options.count(port, "port", most=65535), options.count(top, "top", most=1000)
    target = _output(output, board)
    screen = silent.screen(as_json=json)
    go = find()
    with ExitStack() as stack:
        place = reaching.choose(board, host, emulate=emulate)
        connected = reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)
        transport, observer = stack.enter_context(closing(connected)), stack.enter_context(screen.steps())
        layout = reaching.installed(transport, place, prefix).layout
        observer.started("Profile")
        if has_profiler(transport, layout, own_port):
            observer.note("the gateway in service has a profiler: pulling its heap")
            whose, taken = "the gateway in service", Profile(heap(transport, own_port, within_s), None)
        else:
            held = claim(place, layout, Claimed())
            built = _built(place, source, package, tags, observer)
            whose = "a second instance, built with the tag pprof"
            taken = _of_a_second(transport, place, held, built, load, within_s, observer)
    _keep(target, taken.data)
    sample = "alloc_space" if within_s else "inuse_space"
    shown = pprof_top(target, go, rows=rows, sample=sample)
    if json:
        found = document_of(place, whose, target, taken.count, within_s, sample, shown)
        print(json_format.dumps(found, indent=2))
        return 0
    what = f"what was allocated within {within_s} s" if within_s else "what is in use, after a collection of garbage"
    rows_shown = [("of", whose), ("shows", what), ("profile", str(target))]
    if taken.count is not None:
        said = f"{taken.count.sent} sent, {taken.count.answered} answered"
        rows_shown.insert(1, ("messages", said + ("" if taken.count.complete else ": some have no answer")))
    screen.pairs(f"Heap of {place.board.name} at {place.host}", rows_shown)
    screen.say(shown)
    screen.say("The profiler's own share is left out here; it is in the file.")
    screen.say(f"More of it: go tool pprof -http=: {target}")
    return 0


def document_of(
    place: Place, whose: str, file: Path, count: BurstCount | None, within_s: int, sample: str, shown: str
) -> dict[str, Any]:
    """The JSON document (docs/json.md)."""
    return {
        "of": whose,
        "profile": str(file),
        "size_bytes": file.stat().st_size,
        "sample": sample,
        "seconds": within_s or None,
        "messages": None if count is None else {"sent": count.sent, "answered": count.answered},
        "top": shown.splitlines(),
        "board": place.board.name,
        "host": str(place.host),
    }


def _of_a_second(
    transport: Transport, place: Place, held: Claim, built: Artifact, load: Any, within_s: int, observer: Observer
) -> Any:
    """The profile of a second instance of that build, which is gone afterwards."""
    import secrets

    from deploy.memory.contest import among_the_releases
    from deploy.memory.profiling import heap_under_load
    from deploy.memory.second_instance import second_instance

    layout = held.subject.layout
    # What more the profiler takes is not the gateway's: its own hard limit would end it.
    limits = replace(held.subject.limits or place.board.limits, hard_bytes=None)
    port = _FIRST_PORT + secrets.randbelow(_PORTS)
    asked = {"PPROF": "1", "PPROF_PORT": str(port)}
    observer.note("starting a second instance with the profiler in it, beside the gateway in service")
    with (
        among_the_releases(transport, layout, built.release_id, built.sha256, built.path),
        second_instance(
            transport, layout, built.release_id, limits, user=held.user, note=silent.Silent().note, environment=asked
        ) as second,
    ):
        what = f"while {load.messages} messages come in" if within_s else f"after {load.messages} messages"
        observer.note(f"pulling its heap {what}")
        return heap_under_load(transport, second.user_side, port, load, within_s, observer.progress)


def _built(place: Place, source: str, package: str, tags: str, observer: Observer) -> Artifact:
    from deploy.build import build, find_built
    from deploy.cli.planning import Wishes, source_of
    from deploy.toolchain import find

    wanted, go = source_of(Wishes(source=source, package=package, tags=tags), place.board.tags), find()
    wanted = replace(wanted, tags=(*wanted.tags, *(() if TAG in wanted.tags else (TAG,))))
    target = place.board.target
    return find_built(wanted, target, "", go) or build(wanted, target, "", go, note=observer.note)


def _output(output: str, board: str) -> Path:
    """Where the profile goes. Raises UsageError where nothing can be written there."""
    from deploy.folders import data_folder

    if output:
        return named(output, "output")
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in board.rpartition("/")[2])
    return data_folder().absolute() / "profiles" / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}.pb.gz"


def _keep(path: Path, data: bytes) -> None:
    """Whole, or not at all; for its owner alone, as a profile tells what a program does."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MachineFault(f"{path} can't be written: {error.strerror or error}") from error
    put(path, data, mode=0o600)
