"""`memory.compare`: whether one binary, tree or revision takes more memory than another, on one board."""

from __future__ import annotations

import json as json_format
import tempfile
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options, reaching
from deploy.cli.claims import Claimed, claim
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.errors import CommandFailed, NotMeasured, NotReady
from deploy.model.units import KIB
from deploy.model.verdict import Budget, Outcome
from deploy.report import silent

_ANY = Budget(rss_kib=1 << 40)


@task(
    positional=["a", "b"],
    help=help_for(
        "board",
        "host",
        "emulate",
        "prefix",
        "tags",
        "messages",
        "memory_limit",
        "gc_percent",
        "max_procs",
        "json",
        "accept_new_host_key",
        "identity",
        a="what B is held against: a binary, a folder with go.mod, or a git revision of the gateway",
        b="the other one, named in the same way",
        runs="how many pairs of runs",
        tolerance="how much more B may take",
        deadline="how many seconds the messages of one run may take",
    ),
    auto_shortflags=False,
)
@command
def compare(
    context: Context,
    a: str,
    b: str,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    prefix: str = "",
    tags: str = "",
    messages: str = "200",
    runs: str = "5",
    tolerance: str = "64KiB",
    deadline: str = "120",
    memory_limit: str = "",
    gc_percent: str = "",
    max_procs: str = "",
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Run two builds by turns on one board, with the same messages, and say how their VmRSS differs.

    Exit codes: 0 B is not worse, 1 it is by more than the tolerance, 2 wrong usage, 3 NOT MEASURED, 4 out of reach.
    """
    from deploy.cli.contender import contender
    from deploy.memory.budget import judge
    from deploy.memory.comparison import LEAST_PAIRS, difference, order
    from deploy.memory.contest import among_the_releases, run_once
    from deploy.memory.live import Load

    pairs = options.count(runs, "runs", least=LEAST_PAIRS, most=100)
    tolerated_kib = options.size_bytes(tolerance, "tolerance") // KIB
    load = Load(
        options.count(messages, "messages", most=options.MOST_MESSAGES),
        options.count(deadline, "deadline", most=3600),
    )
    screen = silent.screen(as_json=json)
    place = reaching.choose(board, host, emulate=emulate)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slimdeploy-compare-")))
        two = [contender(each, place.board, tags, scratch, screen.say) for each in (a, b)]
        if two[0].sha256 == two[1].sha256:
            return _same(screen, two, place, as_json=json)
        connected = reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)
        transport = stack.enter_context(closing(connected))
        observer = stack.enter_context(screen.steps())
        layout = reaching.installed(transport, place, prefix).layout
        held = claim(place, layout, Claimed("", "", memory_limit, gc_percent, max_procs))
        layout = held.subject.layout
        # A hard limit of the gateway in service would end the build that takes more, and nothing would be measured.
        limits = replace(held.subject.limits or place.board.limits, hard_bytes=None)
        observer.started("Compare")
        for each in two:
            stack.enter_context(among_the_releases(transport, layout, each.release_id, each.sha256, each.path))
        figures: list[list[int]] = [[], []]
        peaks: list[list[int]] = [[], []]
        for number, turn in enumerate(order(pairs), 1):
            for which in turn:
                observer.note(f"pair {number} of {pairs}: {two[which].called}")
                try:
                    reading = run_once(
                        transport,
                        layout,
                        two[which].release_id,
                        two[which].sha256,
                        limits,
                        load,
                        user=held.user,
                        note=silent.Silent().note,
                    )
                except (NotReady, CommandFailed) as error:
                    raise NotMeasured(f"{two[which].called} in pair {number}: {error.problem}") from error
                verdict = judge(reading, _ANY)
                if verdict.outcome is not Outcome.PASS or reading.rss_kib is None or reading.hwm_kib is None:
                    raise NotMeasured(f"{two[which].called} in pair {number}: {verdict.reason}")
                figures[which].append(reading.rss_kib)
                peaks[which].append(reading.hwm_kib)
            observer.progress(number, pairs)
    rss, hwm = difference(*figures), difference(*peaks)
    worse = rss.worse(tolerated_kib)
    if json:
        document = {
            "a": _document(two[0], figures[0], peaks[0]),
            "b": _document(two[1], figures[1], peaks[1]),
            "rss_kib": asdict(rss),
            "hwm_kib": asdict(hwm),
            "tolerance_kib": tolerated_kib,
            "worse": worse,
            "open": rss.open(tolerated_kib),
            "board": place.board.name,
            "host": str(place.host),
            "messages": load.messages,
            "limits": limits.environment(),
        }
        print(json_format.dumps(document, indent=2))
    else:
        _show(screen, two, rss, hwm, tolerated_kib)
    return Outcome.FAIL.exit_code if worse else 0


def _same(screen: Any, two: Any, place: Any, *, as_json: bool) -> int:
    """One binary twice: there is nothing to run."""
    if as_json:
        both = {name: _document(each, [], []) for name, each in zip(("a", "b"), two, strict=True)}
        print(json_format.dumps(both | {"worse": False, "board": place.board.name, "host": str(place.host)}, indent=2))
    screen.say(f"PASS: {two[0].called} and {two[1].called} are the same binary, sha256 {two[0].sha256}")
    return 0


def _document(each: Any, figures: list[int], peaks: list[int]) -> dict[str, Any]:
    return {
        "called": each.called,
        "sha256": each.sha256,
        "size_bytes": each.size_bytes,
        "runs_rss_kib": figures,
        "runs_hwm_kib": peaks,
    }


def _show(screen: Any, two: Any, rss: Any, hwm: Any, tolerated_kib: int) -> None:
    rows = [
        (name, f"{each.mean_a_kib:,.0f}", f"{each.mean_b_kib:,.0f}", f"{each.mean_kib:+,.0f}", _interval(each))
        for name, each in (("VmRSS", rss), ("VmHWM", hwm))
    ]
    sizes = [each.size_bytes for each in two]
    rows.append(("binary, bytes", f"{sizes[0]:,}", f"{sizes[1]:,}", f"{sizes[1] - sizes[0]:+,}", ""))
    screen.table("", ("mean, KiB", "A", "B", "B - A", "95 % interval"), rows)
    screen.say(f"A is {two[0].called}, B is {two[1].called}; {rss.pairs} pairs of runs, by turns.")
    if rss.worse(tolerated_kib):
        screen.say(f"FAIL: B takes more than A by more than {tolerated_kib:,} KiB.")
    elif rss.open(tolerated_kib):
        screen.say(f"Not decided: the interval holds {tolerated_kib:,} KiB. More --runs make it smaller.")
    else:
        screen.say(f"PASS: B does not take {tolerated_kib:,} KiB more than A.")


def _interval(each: Any) -> str:
    return f"{each.low_kib:+,.0f} to {each.high_kib:+,.0f}"
