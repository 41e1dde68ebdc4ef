"""Knows how what went wrong on many hosts is told once: equal problems together, with the names and one cure.

What one host's problem and cure say is decided where it happened. What hosts said is made safe to show here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deploy.model.display import clean
from deploy.model.rollout import Result, State

# What differs from host to host while the problem is the same: key fingerprints, digests, moments, figures with their
# units, process numbers.
_OWN = re.compile(
    r"SHA256:[A-Za-z0-9+/]{43}"
    r"|\b[0-9a-f]{12,}\b"
    r"|\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z| UTC)?)?"
    r"|\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b"
    r"|\b[0-9][0-9,.]*(?= ?(?:[KMG]iB|kB|B|bytes|ms|s|%)(?![A-Za-z]))"
    r"|(?<=process )[0-9]+|(?<=PID )[0-9]+"
)
_ANY = "…"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong on one host or on several."""

    sentence: str
    """As the host's own; "…" stands for what differs between hosts."""
    cure: str
    """"" where there is none; where it differs between hosts, that of the first one."""
    members: tuple[str, ...]
    state: State
    exit_code: int
    """The hosts' own, which is the same for all of them."""
    is_for_the_first: bool = False
    """Whether the cure names the first host, and has to be read with another name for the others."""


def problem_of(result: Result) -> str:
    """What is wrong with one host, in a sentence, safe to show; "" where nothing is."""
    if result.problem:
        return clean(result.problem)
    if result.state.is_well:
        return "" if result.verdict in ("", "PASS") else f"the verdict on its reading is {clean(result.verdict)}"
    if result.state in (State.WAITING, State.UNDER_WAY):
        return ""
    return f"it is {result.state.value}" if result.state is State.UNREACHABLE else f"it {_VERBS[result.state]}"


def problems_of(results: Iterable[Result]) -> tuple[Problem, ...]:
    """Every problem once: failures before hosts out of reach, the rest last; in each what is wrong on most hosts first.

    Two are the same where they differ only in what is the host's own: its names, fingerprints, figures with units.
    Hosts that wait or are under way have none.
    """
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        if problem_of(result):
            key = (result.state, result.exit_code, _masked(result, problem_of(result)), _masked(result, result.cure))
            groups.setdefault(key, []).append(result)
    found = [_problem(alike) for alike in groups.values()]
    return tuple(sorted(found, key=lambda each: (_ORDER.index(each.state), -len(each.members))))


def problem_lines(problems: Sequence[Problem], most_names: int | None = None) -> list[str]:
    """Lines for people: what is wrong, on which hosts (at most `most_names` by name), and the cure under it."""
    lines = []
    for problem in problems:
        names = ", ".join(clean(name) for name in problem.members[:most_names])
        if most_names is not None and len(problem.members) > most_names:
            names += f" and {len(problem.members) - most_names} more"
        if len(problem.members) == 1:
            lines.append(f"{names}: {problem.sentence}")
        else:
            lines += [f"{len(problem.members)} hosts: {problem.sentence}", f"    {names}"]
        if problem.cure:
            first = f"{clean(problem.members[0])}: " if problem.is_for_the_first else ""
            lines += [
                f"    {first if number == 0 else ''}{line}" for number, line in enumerate(problem.cure.split("\n"))
            ]
    return lines


_VERBS = {State.FAILED: "failed", State.ROLLED_BACK: "was rolled back"}
_ORDER = (
    State.FAILED,
    State.UNREACHABLE,
    State.DEPLOYED,
    State.UNCHANGED,
    State.ROLLED_BACK,
    State.WAITING,
    State.UNDER_WAY,
)


def _problem(alike: Sequence[Result]) -> Problem:
    first = alike[0]
    sentences = {problem_of(result) for result in alike}
    cures = {result.cure for result in alike}
    return Problem(
        sentence=problem_of(first) if len(sentences) == 1 else _masked(first, problem_of(first)),
        cure=clean(first.cure),
        members=tuple(result.member for result in alike),
        state=first.state,
        exit_code=first.exit_code,
        is_for_the_first=len(cures) > 1,
    )


def _masked(result: Result, text: str) -> str:
    """`text` without what is this host's own."""
    address = result.host.rpartition("@")[2]
    bare = re.sub(r":[0-9]+$", "", address).strip("[]") if address.count(":") == 1 or "]" in address else address
    user = result.host[: len(result.host) - len(address)]
    own = {result.member, result.host, address, bare, f"{user}{bare}"} - {""}
    if named := [re.escape(name) for name in sorted(own, key=len, reverse=True) if name in text]:
        text = re.sub(rf"(?<![\w.-])(?:{'|'.join(named)})(?![\w-]|\.\w)", _ANY, text)
    return _OWN.sub(_ANY, text)
