"""Knows how a rollout's end is told: problems once, who stands apart, how VmRSS is spread, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.cli.files import put
from deploy.cli.fleet.telling import worst_exit_code
from deploy.cli.wording import PROGRAM
from deploy.fleet.spread import spread_of
from deploy.model.rollout import Missed, Phase, Result, Rollout, State
from deploy.report.fleet import (
    COLUMNS,
    counts_of,
    final_rows,
    fleet_document,
    histogram_lines,
    spread_rows,
    totals_line,
)
from deploy.report.junit import junit_xml
from deploy.report.problems import problem_lines, problems_of
from deploy.report.silent import Shows

MOST_ROWS = 40
"""More hosts than a screen or two has: outliers and those that are not well come first anyway."""


def exit_code(results: Mapping[str, Result], phase: Phase, *, missed: bool) -> int:
    """By the worst of the hosts; 1 at least for a missed gate, and 4 where hosts have not had their turn."""
    if phase in (Phase.PAUSED, Phase.ABORTED):
        return 4
    worst = worst_exit_code(list(results.values()))
    return worst or (1 if missed else 0)


def document(
    rollout: Rollout, results: Mapping[str, Result], missed: Sequence[Missed], code: int, seconds: float
) -> dict[str, Any]:
    """The JSON document (docs/json.md)."""
    spread = spread_of(list(results.values()))
    return fleet_document(rollout, results, spread, missed=missed, exit_code=code, seconds=seconds)


def show(screen: Shows, rollout: Rollout, results: Mapping[str, Result], seconds: float | None = None) -> None:
    """For people; `seconds` is what it took, where that is known."""
    from deploy.report.console import Screen

    found = list(results.values())
    spread = spread_of(found)
    for line in problem_lines(problems_of(found)):
        screen.say(line)
    rows = final_rows(found, spread)
    if isinstance(screen, Screen) and rows:
        more = f", the first {MOST_ROWS} of {len(rows):,}" if len(rows) > MOST_ROWS else ""
        screen.table(f"Outliers first, then who is not well, then the largest{more}", COLUMNS, rows[:MOST_ROWS])
    if spread.count:
        screen.pairs("VmRSS over the fleet", spread_rows(spread))
        if spread.count > 1:
            screen.say("\n".join(histogram_lines(spread)))
    members = [name for wave in rollout.waves for name in wave.members]
    took = f", in {seconds:.1f} s" if seconds is not None else ""
    screen.say(f"{totals_line(counts_of(members, results))}{took}")
    screen.say("\n".join(_last_words(rollout, results)))


def _last_words(rollout: Rollout, results: Mapping[str, Result]) -> list[str]:
    why = f": {rollout.why}" if rollout.why else ""
    lines = [f"rollout {rollout.id}: {rollout.phase.value}{why}"]
    total = sum(len(wave.members) for wave in rollout.waves)
    left = total - sum(result.state.is_final for result in results.values())
    if left and rollout.phase is not Phase.ABORTED:
        lines.append(f"  {PROGRAM} fleet.resume {rollout.id}    goes on with the {left} that are left")
    if any(result.state is State.DEPLOYED for result in results.values()):
        lines.append(f"  {PROGRAM} fleet.rollback --rollout {rollout.id}    leads back what it deployed")
    return lines


def write_junit(path: Path, rollout: Rollout, results: Mapping[str, Result]) -> None:
    """Put the file in place, whole. Raises MachineFault."""
    put(path, junit_xml(rollout, results))
