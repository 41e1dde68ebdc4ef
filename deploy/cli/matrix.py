"""`emulate.matrix`: one source on every emulated architecture, and one table of what it used there."""

from __future__ import annotations

import json as json_format
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.errors import UsageError
from deploy.model.verdict import Outcome
from deploy.report import silent

BOARDS = ("licheerv", "rpi-zero-2w", "luckfox-pico", "openwrt-mt7621")
"""A board for each architecture that has an emulated machine: riscv64, arm64, armv7, mipsle."""

_ONE_S = 1200.0
"""How long one board may take: a cold build cache, its image, its boot, the deployment and the messages."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one board: the document of its deployment, or of the problem that came first."""

    board: str
    document: dict[str, Any]
    problem: str
    seconds: float

    @property
    def verdict(self) -> str:
        """PASS, FAIL or NOT MEASURED; without a reading the last of them."""
        return str(self.document.get("verdict") or Outcome.NOT_MEASURED.value)


@task(
    name="matrix",
    help=help_for(
        "source",
        "package",
        "command",
        "tags",
        "ldflags",
        "messages",
        "budget",
        "memory_limit",
        "gc_percent",
        "max_procs",
        "json",
        boards="the boards, with commas between",
        jobs="how many boards at a time (the number of CPUs unless told otherwise)",
        keep="leave the machines up afterwards",
    ),
    auto_shortflags=False,
)
@command
def matrix(
    context: Context,
    boards: str = ",".join(BOARDS),
    source: str = "",
    package: str = "",
    command: str = "",
    tags: str = "",
    ldflags: str = "",
    messages: str = "1000",
    budget: str = "",
    memory_limit: str = "",
    gc_percent: str = "",
    max_procs: str = "",
    jobs: str = "",
    keep: bool = False,
    json: bool = False,
) -> int:
    """Build, deploy and live-check on every emulated architecture; one table of what came of it.

    Exit codes: 0 all PASS, 1 a FAIL, 2 wrong usage, 3 a NOT MEASURED, 4 a board where a problem came first.
    """
    names = options.words(boards)
    _known(names)
    options.count(messages, "messages", most=options.MOST_MESSAGES)
    at_a_time = options.count(jobs, "jobs", most=64) if jobs else min(len(names), os.cpu_count() or 1)
    flags = {
        "source": source,
        "package": package,
        "command": command,
        "tags": tags,
        "ldflags": ldflags,
        "messages": messages,
        "budget": budget,
        "memory-limit": memory_limit,
        "gc-percent": gc_percent,
        "max-procs": max_procs,
    }
    given = [f"--{name}={value}" for name, value in flags.items() if value]
    screen = silent.screen(as_json=json)
    rows: list[Row] = []
    with screen.steps() as observer, ThreadPoolExecutor(at_a_time) as pool:
        observer.started(f"{len(names)} boards, {at_a_time} at a time")
        running = [pool.submit(_one, name, given, keep=keep) for name in names]
        try:
            for done in as_completed(running):
                row = done.result()
                rows.append(row)
                observer.note(f"{row.board}: {row.problem or row.verdict} ({row.seconds:.0f} s)")
                observer.progress(len(rows), len(names))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # the others hear of a Ctrl-C by themselves
            raise
    rows.sort(key=lambda row: names.index(row.board))
    if json:
        print(json_format.dumps({"boards": [_document(row) for row in rows]}, indent=2))
    else:
        show(rows)
    return _exit_code(rows)


def _known(names: Sequence[str]) -> None:
    """All the boards have to be there and to have a machine, before the first is started."""
    from deploy import catalogue
    from deploy.emulator import qemu
    from deploy.emulator.machines import machine_for

    if not names:
        raise UsageError("--boards names none")
    if len(set(names)) < len(names):
        raise UsageError("--boards names one twice")
    for name in names:
        qemu.program_of(machine_for(catalogue.board(name).target))


def _one(board: str, given: Sequence[str], *, keep: bool) -> Row:
    """One deployment, as a command of its own: Ctrl-C, deadlines and files are then its own affair."""
    from deploy.emulator import emulated

    began_s = time.monotonic()
    was_up = emulated.status(board) is not None
    ran = _slimdeploy("deploy", "--board", board, "--emulate", "--json", *given)
    if not (keep or was_up):
        _slimdeploy("emulate.down", "--board", board)
    try:
        document, problem = json_format.loads(ran.stdout), ""
    except ValueError:
        document, problem = {}, ran.stderr.strip().partition("\n")[0] or f"it ended with {ran.returncode}"
    if error := document.get("error"):  # a problem's document (docs/json.md), unless it says NOT MEASURED
        problem = "" if document.get("verdict") else f"{error['problem']} {error['cure']}".strip()
    return Row(board, document, problem, time.monotonic() - began_s)


def _slimdeploy(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "deploy", *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_ONE_S,
        check=False,
    )


def show(rows: Sequence[Row]) -> None:
    """The table, narrow enough for 80 columns; below it the circumstances, and what went wrong."""
    from deploy.report.console import Screen

    screen = Screen()
    head = ("board", "VmRSS", "±", "VmHWM", "RssAnon", "RssFile", "s", "verdict")
    screen.table("", head, [_cells(row) for row in rows])
    screen.say("Sizes in KiB, time in seconds. VmHWM: the peak under the messages, else ever.")
    for row in rows:
        screen.say(f"{row.board}: {row.problem or _circumstances(row)}")


def _cells(row: Row) -> tuple[str, ...]:
    reading = row.document.get("reading") or {}
    names = ("rss_kib", "rss_error_kib", "hwm_kib", "rss_anon_kib", "rss_file_kib")
    figures = (f"{reading[name]:,}" if reading.get(name) is not None else "" for name in names)
    return (row.board, *figures, f"{row.seconds:.0f}", row.verdict)


def _circumstances(row: Row) -> str:
    artifact = row.document.get("artifact") or {}
    about = row.document.get("circumstances") or {}
    live = row.document.get("live") or {}
    parts = [f"Linux {about['kernel']}" if "kernel" in about else "", str(artifact.get("target", ""))]
    if "size_bytes" in artifact:
        parts.append(f"binary {artifact['size_bytes']:,} bytes")
    if live:
        parts.append(f"{live['answered']:,} messages answered over {live['tls']}")
    if row.verdict != Outcome.PASS.value:
        parts.append(str(row.document.get("reason", "")))
    return ", ".join(part for part in parts if part)


def _document(row: Row) -> dict[str, Any]:
    return {"board": row.board, "problem": row.problem, "seconds": round(row.seconds, 1), "deployment": row.document}


def _exit_code(rows: Sequence[Row]) -> int:
    if any(row.problem for row in rows):
        return 4
    codes = [outcome.exit_code for outcome in Outcome for row in rows if row.verdict == outcome.value]
    return max(codes, default=Outcome.NOT_MEASURED.exit_code)
