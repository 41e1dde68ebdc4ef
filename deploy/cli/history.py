"""`memory.history`, `memory.show`, `memory.export`: the readings of this machine, kept with all their evidence."""

from __future__ import annotations

import json as json_format
import re
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options
from deploy.cli.ending import command
from deploy.cli.files import named, put
from deploy.cli.options import help_for
from deploy.cli.wording import PROGRAM
from deploy.errors import BadHistory, UsageError

FILTERS = help_for(
    board="of this kind of board only",
    host="of this host only, as it was written when it was read",
    release="of releases whose SHA-256 begins so",
    kind="idle, live or bench",
    verdict="pass, fail or not-measured",
    since="from this day on, as 2026-11-23 (UTC)",
    last="only the last so many",
)

_MOST = 1_000_000


@task(help=FILTERS | help_for("json"), auto_shortflags=False)
@command
def history(
    context: Context,
    board: str = "",
    host: str = "",
    release: str = "",
    kind: str = "",
    verdict: str = "",
    since: str = "",
    last: str = "40",
    json: bool = False,
) -> int:
    """List the readings that were taken from this machine, the newest last, and the curve of their VmRSS."""
    from deploy.history import find
    from deploy.report.console import Screen
    from deploy.report.sparkline import sparkline

    found = find(wanted(board, host, release, kind, verdict, since, last))
    if json:
        print(json_format.dumps({"readings": [asdict(each) for each in found]}, indent=2))
        return 0
    screen = Screen()
    if not found:
        screen.say(f"no such reading is kept; one is made by: {PROGRAM} memory --board NAME, or a deployment")
        return 0
    head = ("id", "taken", "board", "release", "kind", "VmRSS", "VmHWM", "verdict")
    rows = [
        (
            str(each.id),
            local_time(each.taken_at),
            each.board.rpartition("/")[2],
            each.sha256[:7],
            each.kind,
            *("" if figure is None else f"{figure:,}" for figure in (each.rss_kib, each.hwm_kib)),
            each.verdict,
        )
        for each in found
    ]
    screen.table("", head, rows)
    figures = [each.rss_kib for each in found if each.rss_kib is not None]
    if len(figures) > 1:
        screen.say(f"VmRSS  {sparkline(figures)}  {min(figures):,} to {max(figures):,} KiB")
    screen.say(f"All of one, with its evidence: {PROGRAM} memory.show ID")
    return 0


@task(
    positional=["number"],
    help=help_for("json", number="the reading's id, as memory.history lists it"),
    auto_shortflags=False,
)
@command
def show(context: Context, number: str, json: bool = False) -> int:
    """Show one reading that is kept: its figures, every proof, its circumstances. No board is asked."""
    from deploy.history import Wanted, find, one
    from deploy.report.console import Screen
    from deploy.report.stored import reading_of
    from deploy.report.summary import evidence_rows, reading_rows

    found = one(options.count(number, "number", most=2**31))
    if found is None:
        newest = find(Wanted(last=1))
        what = f"the newest is {newest[0].id}" if newest else "none is kept yet"
        raise UsageError(f"there is no reading {number}: {what}")
    kept, document = found
    if json:
        print(json_format.dumps({"id": kept.id, **document}, indent=2))
        return 0
    try:
        reading, verdict = reading_of(document)
    except ValueError as error:
        raise UsageError(f"reading {number} was kept in a form that can't be shown ({error}); add --json") from None
    screen = Screen()
    title = f"Reading {kept.id}: {kept.board} at {kept.host}, {local_time(kept.taken_at)}"
    screen.pairs(title, [("sha256", kept.sha256 or "not known"), *reading_rows(reading, verdict)])
    screen.pairs("Evidence", evidence_rows(reading))
    return 0


@task(
    help=FILTERS
    | help_for(
        form="csv, jsonl (whole documents) or prometheus (the last of each board, host and kind)",
        output="the file to write, put in place whole; without it standard output",
    ),
    auto_shortflags=False,
)
@command
def export(
    context: Context,
    form: str = "csv",
    output: str = "",
    board: str = "",
    host: str = "",
    release: str = "",
    kind: str = "",
    verdict: str = "",
    since: str = "",
    last: str = "",
) -> int:
    """Write the readings for another program: a table, JSON lines, or what Prometheus' node_exporter picks up."""
    from deploy.history import find_whole
    from deploy.report.exports import FORMATS, exported

    if form not in FORMATS:
        raise UsageError(f"--form takes {', '.join(FORMATS)}, and not {form!r}")
    to = named(output, "output") if output else None
    text = exported(form, find_whole(wanted(board, host, release, kind, verdict, since, last)))
    if to is not None:
        put(to, text.encode())
    else:
        print(text, end="")
    return 0


def wanted(board: str, host: str, release: str, kind: str, verdict: str, since: str, last: str) -> Any:
    """The filter that the flags make. Raises UsageError."""
    from deploy.history import Wanted
    from deploy.model.reading import KINDS
    from deploy.model.verdict import Outcome

    outcomes = {outcome.value.lower().replace(" ", "-"): outcome.value for outcome in Outcome}
    if kind and kind not in KINDS:
        raise UsageError(f"--kind takes {', '.join(KINDS)}, and not {kind!r}")
    if verdict and verdict.lower() not in outcomes:
        raise UsageError(f"--verdict takes {', '.join(outcomes)}, and not {verdict!r}")
    if since and not _is_moment(since):
        raise UsageError(f"--since takes a day such as 2026-11-23, and not {since!r}")
    if release and not re.fullmatch(r"[0-9a-fA-F]{1,64}", release):
        raise UsageError(f"--release takes the beginning of a SHA-256, and not {release!r}")
    most = options.count(last, "last", most=_MOST) if last else None
    return Wanted(board, host, release.lower(), kind, outcomes.get(verdict.lower(), ""), since, most)


def _is_moment(text: str) -> bool:
    """Whether it is a moment such as 2026-11-23T21:14:00Z, or the beginning of one: a year, a month, a day, an hour."""
    if not re.fullmatch(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9]{2}(:[0-9]{2}(:[0-9]{2}Z?)?)?)?)?)?", text):
        return False
    begun = text.removesuffix("Z")
    try:
        datetime.fromisoformat(begun + "0000-01-01T00:00:00"[len(begun) :])
    except ValueError:
        return False
    return True


def kept(document: dict[str, Any], *, wanted: bool = True) -> int | None:
    """Keep what a command is about to print of a reading; its id. A history that can't be written spoils no reading."""
    if not wanted or document.get("verdict") is None:
        return None
    from deploy.history import keep

    try:
        return keep(document)
    except BadHistory as error:
        print(f"note: the reading is not kept: {error}", file=sys.stderr)
        return None


def local_time(taken_at: str) -> str:
    """The moment in this machine's time: to the minute in this year, else the day; as it was kept where it is none."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(taken_at).astimezone()
        this_year = moment.year == datetime.now().astimezone().year
        return moment.strftime("%b %d %H:%M" if this_year else "%Y-%m-%d")
    return taken_at
