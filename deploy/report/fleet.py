"""Knows what people and programs are shown of a rollout: how its waves go, how it ended, and how VmRSS is spread.

Drawing is `console.py`'s; what is wrong with hosts, `problems.py`'s. All here are pure functions of what is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from deploy.model.display import clean
from deploy.model.rollout import Missed, Phase, Result, Rollout, State, Wave
from deploy.model.spread import Spread
from deploy.model.units import show_hosts, show_kib, show_span
from deploy.report.problems import Problem, problems_of

Row = tuple[str, ...]

COLUMNS = ("host", "state", "board", "VmRSS", "time", "")
"""The headings of every table here."""

ORDER = (
    State.UNDER_WAY,
    State.FAILED,
    State.UNREACHABLE,
    State.ROLLED_BACK,
    State.DEPLOYED,
    State.UNCHANGED,
    State.WAITING,
)
"""How hosts are grouped: what happens now, then what went wrong, then the rest."""

_BAR = "█"


def is_ended(result: Result | None) -> bool:
    """Whether a host's turn in its wave is over: who could not be reached is tried again at the end, not there."""
    return result is not None and (result.state.is_final or result.state is State.UNREACHABLE)


def counts_of(members: Iterable[str], results: Mapping[str, Result]) -> dict[State, int]:
    """How many of `members` stand in each state, all states in ORDER; without a result they wait."""
    found = dict.fromkeys(ORDER, 0)
    for name in members:
        found[_state(results.get(name))] += 1
    return found


def totals_line(counts: Mapping[State, int]) -> str:
    """Such as "1,000 hosts: 3 under way, 1 failed, 11 deployed, 985 waiting"."""
    total = sum(counts.values())
    parts = [f"{counts[state]:,} {state.value}" for state in ORDER if counts.get(state)]
    return f"{show_hosts(total)}: {', '.join(parts)}" if parts else show_hosts(total)


def current_wave(rollout: Rollout, results: Mapping[str, Result]) -> Wave | None:
    """The first wave with a host whose turn is not over; None where there is none left."""
    return next((wave for wave in rollout.waves if not all(is_ended(results.get(each)) for each in wave.members)), None)


def eta_s(rollout: Rollout, results: Mapping[str, Result]) -> float | None:
    """How many seconds the waves will still take, about; None before a host has ended.

    As if every host that is left took the mean of those that ended, so many at once as the policy has it, one wave
    after the other, with its pauses between them. Hosts that are tried again at the end are not in it.
    """
    took = [result.seconds for result in results.values() if is_ended(result) and result.seconds > 0]
    if not took:
        return None
    left = [sum(not is_ended(results.get(name)) for name in wave.members) for wave in rollout.waves]
    rounds = sum(-(-count // max(1, rollout.policy.at_once)) for count in left)
    to_come = sum(
        count == len(wave.members) for count, wave in zip(left, rollout.waves, strict=True) if wave.number > 1
    )
    return rounds * sum(took) / len(took) + to_come * rollout.policy.pause_s


def progress_line(rollout: Rollout, results: Mapping[str, Result]) -> str:
    """One line for the whole rollout: "wave 2 of 4: 12 of 50 done; about 4 min 10 s left; 1,000 hosts: …".

    What a narrow terminal cuts off is the count of what waits.
    """
    members = [name for wave in rollout.waves for name in wave.members]
    parts = []
    wave = current_wave(rollout, results)
    if wave is not None:
        done = sum(is_ended(results.get(name)) for name in wave.members)
        parts.append(f"wave {wave.number} of {len(rollout.waves)}: {done:,} of {len(wave.members):,} done")
        if (left_s := eta_s(rollout, results)) is not None:
            parts.append(f"about {show_span(left_s)} left")
    return "; ".join([*parts, totals_line(counts_of(members, results))])


def wave_rows(wave: Wave, results: Mapping[str, Result], most: int = 20) -> list[Row]:
    """A row a host of `wave`, grouped by state as in ORDER, under COLUMNS.

    Of more hosts than `most` every state keeps at least one row; one that is cut short ends with "and 12 more".
    """
    by_state: dict[State, list[str]] = {state: [] for state in ORDER}
    for name in wave.members:
        by_state[_state(results.get(name))].append(name)
    groups = [group for group in by_state.values() if group]
    rows: list[Row] = []
    for after, group in zip(range(len(groups) - 1, -1, -1), groups, strict=True):
        room = max(1, most - len(rows) - after)
        shown = group if len(group) <= room else group[: room - 1]
        rows += [host_row(results.get(name) or Result(name, State.WAITING)) for name in shown]
        if len(shown) < len(group):
            more = f"and {len(group) - len(shown):,} more" if shown else show_hosts(len(group))
            rows.append((more, _state(results.get(group[0])).value, "", "", "", ""))
    return rows


def host_row(result: Result, remark: str = "") -> Row:
    """One host under COLUMNS; `remark` instead of its verdict."""
    error = f" ± {result.rss_error_kib}" if result.rss_error_kib is not None else ""
    return (
        clean(result.member),
        result.state.value,
        clean(result.board),
        "" if result.rss_kib is None else f"{show_kib(result.rss_kib).removesuffix(' KiB')}{error} KiB",
        "" if not result.seconds else f"{result.seconds:.1f} s",
        remark or clean(result.verdict),
    )


def final_rows(results: Iterable[Result], spread: Spread) -> list[Row]:
    """Every host under COLUMNS: outliers first, with what makes them so; then who is not well, then the largest."""
    remarks = {outlier.member: clean(outlier.sentence) for outlier in spread.outliers}
    place = {member: number for number, member in enumerate(remarks)}

    def order(result: Result) -> tuple[int, int, int]:
        if result.member in place:
            return (0, place[result.member], 0)
        if not result.state.is_well:
            return (1, ORDER.index(result.state), 0)
        return (2, 0 if result.rss_kib is None else 1, -(result.rss_kib or 0))

    return [host_row(result, remarks.get(result.member, "")) for result in sorted(results, key=order)]


def spread_rows(spread: Spread) -> list[tuple[str, str]]:
    """The figures of VmRSS over the fleet, by name."""
    dark = [("not measured", show_hosts(spread.not_measured))] if spread.not_measured else []
    if not spread.count:
        return [("measured", "no host"), *dark]
    figures = (
        ("smallest", spread.min_kib),
        ("median", spread.median_kib),
        ("p95 (nearest rank)", spread.p95_kib),
        ("largest", spread.max_kib),
        ("mean", round(spread.mean_kib)),
    )
    return [("measured", show_hosts(spread.count)), *dark, *((name, show_kib(kib)) for name, kib in figures)]


def histogram_lines(spread: Spread, width: int = 40) -> list[str]:
    """A line a bin: its bounds in KiB, a bar of at most `width` blocks, its count; no bin with a host is blank."""
    most = max((each.count for each in spread.bins), default=0)
    bounds = [f"{each.from_kib:,} to {each.to_kib - 1:,} KiB" for each in spread.bins]
    side = max(map(len, bounds), default=0)
    lines = []
    for bound, each in zip(bounds, spread.bins, strict=True):
        bar = _BAR * -(-each.count * width // most)
        lines.append(f"{bound:>{side}}  {bar}{' ' if bar else ''}{each.count:,}")
    return lines


def fleet_document(
    rollout: Rollout,
    results: Mapping[str, Result],
    spread: Spread,
    *,
    missed: Sequence[Missed] = (),
    exit_code: int = 0,
    seconds: float = 0.0,
) -> dict[str, Any]:
    """What a rollout is as JSON; sizes in KiB, times in seconds. Hosts without a result are in it, waiting."""
    waves = {name: wave.number for wave in rollout.waves for name in wave.members}
    hosts = [results.get(name) or Result(name, State.WAITING, wave) for name, wave in waves.items()]
    counts = counts_of(waves, results)
    return {
        "id": rollout.id,
        "begun_at": rollout.begun_at,
        "phase": rollout.phase.value,
        "why": rollout.why,
        "inventory": rollout.inventory,
        "wishes": dict(rollout.wishes),
        "policy": asdict(rollout.policy)
        | {
            "on_failure": rollout.policy.on_failure.value,
            "waves": list(rollout.policy.waves),
            "gates": list(rollout.policy.gates),
        },
        "waves": [{"number": wave.number, "hosts": list(wave.members)} for wave in rollout.waves],
        "counts": {state.value: count for state, count in counts.items()},
        "hosts": [_host_document(result) for result in hosts],
        "problems": [_problem_document(problem) for problem in problems_of(hosts)],
        "missed": [{"gate": each.gate, "sentence": each.sentence, "hosts": list(each.hosts)} for each in missed],
        "spread": spread_document(spread) if spread.count else None,
        "is_over": rollout.phase in (Phase.ENDED, Phase.ABORTED),
        "exit_code": exit_code,
        "seconds": round(seconds, 3),
    }


def spread_document(spread: Spread) -> dict[str, Any]:
    """The members of `Spread`."""
    found = asdict(spread) | {"mean_kib": round(spread.mean_kib, 1)}
    return found | {"bins": list(found["bins"]), "outliers": list(found["outliers"])}


def _host_document(result: Result) -> dict[str, Any]:
    found = {name: getattr(result, name) for name in Result.__dataclass_fields__ if name != "record"}
    return found | {"state": result.state.value, "seconds": round(result.seconds, 3)}


def _problem_document(problem: Problem) -> dict[str, Any]:
    return {
        "sentence": problem.sentence,
        "cure": problem.cure,
        "hosts": list(problem.members),
        "state": problem.state.value,
        "exit_code": problem.exit_code,
    }


def _state(result: Result | None) -> State:
    return State.WAITING if result is None else result.state
