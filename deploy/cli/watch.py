"""`memory.watch`: how the memory of a process goes, for minutes or for days. A view; verdicts are `memory`'s."""

from __future__ import annotations

import json as json_format
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from deploy import deployments
from deploy.cli import options, reaching
from deploy.cli.claims import MOST_PID
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.reaching import Place
from deploy.errors import NothingThere, UsageError
from deploy.memory.tally import Tally
from deploy.memory.watch import Watched, watch
from deploy.model.layout import Layout
from deploy.model.watching import Event
from deploy.report.watch import View, event_document, event_line, summary_document, summary_rows
from deploy.transport.protocol import Transport

LEAST_INTERVAL_S, MOST_INTERVAL_S = 0.2, 600.0
MOST_S = 90 * 24 * 3600.0

Tell = Callable[[Event], None]


@task(
    name="watch",
    help=help_for(
        "board",
        "host",
        "emulate",
        "prefix",
        "accept_new_host_key",
        "identity",
        "json",
        pid="this process instead of the gateway; the watch ends when it ends",
        interval="the time between two samples, such as 500ms, 1s or 1m",
        counters="ask the gateway for its counters; --no-counters does not, as answering takes memory of its own",
        record="append every event to this file, a JSON line each (docs/json.md)",
    )
    | {"for": "end after so long, such as 10m or 8h; without it at Ctrl-C"},
    auto_shortflags=False,
)
@command
def watching(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    pid: str = "",
    interval: str = "1s",
    for_: str = "",
    record: str = "",
    counters: bool = True,
    prefix: str = "",
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Show how the memory of the gateway, or of any process, goes: a curve, over restarts and drops of the link.

    It judges nothing. Ctrl-C ends it with a summary. Exit codes: 0 it was watched, 2 wrong usage, 3 no sample was had,
    4 the host is out of reach.
    """
    interval_s = options.duration_s(interval, "interval", least=LEAST_INTERVAL_S, most=MOST_INTERVAL_S)
    lasts_s = options.duration_s(for_, "for", least=LEAST_INTERVAL_S, most=MOST_S) if for_ else None
    asked = options.count(pid, "pid", most=MOST_PID) if pid else None
    place = reaching.any_host(host) if host and not board and pid else reaching.choose(board, host, emulate=emulate)

    def login() -> Transport:
        return reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)

    tally = Tally()
    with ExitStack() as stack:
        written = stack.enter_context(_recorded(record))
        transport = login()
        stack.callback(transport.close)
        watched = _watched(transport, place, prefix, asked, interval_s, lasts_s)
        watched = watched if counters else replace(watched, health_port=0)
        told = stack.enter_context(_told(f"{_what(asked)} on {place.host}, every {interval}", tally, as_json=json))
        with suppress(KeyboardInterrupt):  # how it is meant to end
            for event in watch(transport, watched, login):
                tally.tell(event)
                written(event)
                told(event)
    if json:
        print(json_format.dumps(summary_document(tally)))
    else:
        from deploy.report.console import Screen

        Screen().pairs("Watched, and not judged", summary_rows(tally))
    if not tally.samples:
        raise NothingThere(f"{_what(asked)} on {place.host} was not seen: there is no sample")
    return 0


def _what(pid: int | None) -> str:
    return "the gateway" if pid is None else f"process {pid}"


def _watched(
    transport: Transport, place: Place, prefix: str, pid: int | None, interval_s: float, lasts_s: float | None
) -> Watched:
    """The process. Raises UsageError where no gateway is installed, and as the transport."""
    if pid is not None:
        return Watched(Layout(place.board.prefix), pid, 0, interval_s, lasts_s)
    layout = reaching.installed(transport, place, prefix).layout
    record = deployments.recall(place.board.name, str(place.host), place.machine)
    port = record.health_port if record is not None and record.prefix == layout.prefix else place.board.health_port
    return Watched(layout, None, port, interval_s, lasts_s)


@contextmanager
def _recorded(name: str) -> Iterator[Tell]:
    """What appends to the file of that name, at once; to none for "". Raises OSError where that fails."""
    if not name:
        yield _not_kept
        return
    if name == "-":
        raise UsageError("--record: - names no file here: name one; --json prints the events")
    descriptor = os.open(Path(name).expanduser(), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:

        def write(event: Event) -> None:
            file.write(json_format.dumps(event_document(event)) + "\n")
            file.flush()

        yield write


def _not_kept(event: Event) -> None:
    """Nothing was asked to be kept."""


@contextmanager
def _told(title: str, tally: Tally, *, as_json: bool) -> Iterator[Tell]:
    """What shows an event: as a JSON line, as a plain one, or as the view of a terminal."""
    if as_json:
        yield lambda event: print(json_format.dumps(event_document(event)), flush=True)
        return
    from deploy.report.console import Screen

    screen = Screen(ends_with_reader=True)
    if not screen.is_terminal:

        def tell(event: Event) -> None:
            if line := event_line(event):
                screen.say(line)
                sys.stdout.flush()

        yield tell
        return
    view = View(title)
    with screen.canvas() as canvas:

        def draw(event: Event) -> None:
            view.tell(event)
            canvas.draw(view.lines(*canvas.size, tally))

        yield draw
