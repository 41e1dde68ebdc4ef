"""Knows what is asked of a board around a bench: where it may lie, what it has told so far, that it may go on.

The program is gateway/cmd/membench, whose words these are; what they are held against is `deploy/memory/bench.py`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.proc_files import parse_stat
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.shell_functions import RUNNING
from deploy.model.layout import Layout
from deploy.model.reading import Process
from deploy.transport.protocol import Script

PHASES = ("1-baseline", "2-config-loaded", "3-bus-created", "4-after-burst", "5-steady-state")

KINDS = ("short", "4k", "markdown", "emoji", "group", "command", "long", "unmentioned", "photo", "edited")
"""What the program's simulated users write (gateway/internal/simulated/kinds.go)."""

_NUMBER = r"\d{1,15}"
_PHASE = re.compile(
    rf"\[mem ([1-5]-[a-z-]{{1,20}}) *\] RSS= *(?:({_NUMBER}) KB \([0-9.]{{1,15}} MB\)|not measured)"
    rf" +HeapAlloc= *({_NUMBER}) B +HeapSys= *({_NUMBER}) B +NumGC=({_NUMBER})"
)
_COUNT = re.compile(rf"([a-z_]{{1,30}})=({_NUMBER})")
_VERDICT = re.compile(r"(PASS|FAIL|NOT MEASURED): (.{1,300})")


@dataclass(frozen=True, slots=True)
class ToldPhase:
    """A phase's line. `rss_kib` is None where the program could not read it; the program writes KB and means KiB."""

    name: str
    rss_kib: int | None
    heap_alloc_bytes: int
    heap_sys_bytes: int
    collections: int


@dataclass(frozen=True, slots=True)
class Told:
    """All that it has told so far; `verdict` is "" until the last line is there."""

    phases: tuple[ToldPhase, ...]
    counts: dict[str, int]
    verdict: str
    reason: str
    state: str
    """Of the process that its pid file names, one letter as in proc_pid_stat(5); "" where it is not there."""
    others: tuple[str, ...]
    """Lines that are none of these: what went wrong, mostly."""


def place_script(*prefixes: str) -> Script:
    """Print the first of the folders that this login may make, or write into; end with 1 where it may none of them."""
    candidates = " ".join(quote_path(prefix) for prefix in prefixes)
    text = f"""\
for prefix in {candidates}; do
    at=$prefix
    until [ -d "$at" ]; do at=${{at%/*}}; [ -n "$at" ] || at=/; done
    [ ! -w "$at" ] || {{ printf '%s\\n' "$prefix"; exit 0; }}
done
echo "this login may write nowhere" >&2
exit 1
"""
    return Script(title="find a place for the bench", text=text, changes=False)


def told_script(framing: Framing, layout: Layout) -> Script:
    """Ask for its state, then for its log: one that stands still has told all there is."""
    text = (
        framing.prelude()
        + RUNNING
        + framing.section("stat", f'cat "/proc/$(running_pid {quote_path(layout.pid_file)} || echo none)/stat"')
        + framing.section("log", f"cat {quote_path(layout.log_file)}")
        + framing.close()
    )
    return Script(title="read what the bench has told", text=text, changes=False)


def parse_told(framing: Framing, stdout: bytes) -> Told:
    """What `told_script` brought back; a line that is not whole yet is passed over. Raises BadAnswer."""
    answers = parse(framing, stdout)
    stat = answers.after_success("stat")
    phases: list[ToldPhase] = []
    counts: dict[str, int] = {}
    verdict = reason = ""
    others: list[str] = []
    for line in answers.text("log").splitlines():
        if found := _PHASE.fullmatch(line):
            rss = int(found[2]) if found[2] else None
            phases.append(ToldPhase(found[1], rss, int(found[3]), int(found[4]), int(found[5])))
        elif found := _COUNT.fullmatch(line):
            counts[found[1]] = int(found[2])
        elif found := _VERDICT.fullmatch(line):
            verdict, reason = found[1], found[2]
        elif line.strip() and "=" not in line:
            others.append(line)
    return Told(tuple(phases), counts, verdict, reason, parse_stat(stat).state if stat else "", tuple(others))


def go_on_script(process: Process) -> Script:
    """Let it go on from where it has stopped, or waits; end with 1 where the process is another one by now."""
    return Script(
        title="let the bench go on",
        text=(
            f'{RUNNING}[ "$(ticks_of {process.pid})" = {process.start_ticks} ] || exit 1\nkill -CONT {process.pid}\n'
        ),
    )
