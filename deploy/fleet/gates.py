"""Knows what is asked of a wave before the next one, and how many hosts may fail; what then happens is the rollout's.

A gate is about a figure (p95-rss<=5MiB) or about a share of the hosts (pass-share>=99%).

A figure is held to its bound over the hosts on which the new release runs; by nearest rank, so it is always one host's
own. VmRSS is judged with its error bar added, as a verdict is. **A host that was not measured counts as above every
bound**: `max-rss` is missed as soon as one has no figure, `p95-rss` once they and those above the bound are more than
one in twenty. Where nobody runs the new release there is no figure, and the gate is missed.

A share is of all hosts that were tried, also of those that could not be reached or failed.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from deploy.errors import UsageError
from deploy.fleet.spread import nearest_rank
from deploy.model.rollout import Missed, Policy, Result, State
from deploy.model.units import KIB, parse_size, show_hosts, show_kib

_PERCENTS = {"median": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
_FIGURES = {"rss": "VmRSS with its error bar", "hwm": "VmHWM", "seconds": "time"}
_SHARES: dict[str, tuple[str, Callable[[Result], bool]]] = {
    "pass-share": ("passed", lambda result: result.state.is_well and result.verdict == "PASS"),
    "measured-share": ("were measured", lambda result: result.state.is_well and result.rss_kib is not None),
}

NAMES = (*(f"{part}-{figure}" for figure in _FIGURES for part in _PERCENTS), *_SHARES)
"""What a gate can be about."""

WORST = 3
"""So many hosts are named in a sentence."""

_GATE = re.compile(r"\s*([A-Za-z0-9-]+)\s*(<=|>=|=<|=>|<|>|==|=)\s*(\S+)\s*")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_FORM = "write it as p95-rss<=5MiB, p95-seconds<=20 or pass-share>=99%"


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that is asked of a wave."""

    text: str
    """As the user wrote it."""
    name: str
    """One of NAMES."""
    bound: Fraction
    """KiB for rss and hwm, seconds, or a percentage; the most that a figure may be, the least for a share."""


def parse_gate(text: str) -> Gate:
    """The gate that `text` names. Raises UsageError, with the form and the nearest names."""
    match = _GATE.fullmatch(text)
    if match is None:
        raise UsageError(f"--gate {text!r} is no gate: {_FORM}")
    name, sign, bound = match[1].lower(), match[2], match[3]
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=3, cutoff=0.5)
        said = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(NAMES)}"
        raise UsageError(f"--gate {text!r}: nothing is called {name!r}; {said}")
    wanted = ">=" if name in _SHARES else "<="
    if sign != wanted:
        raise UsageError(f"--gate {text!r}: {name} is held to its bound with {wanted}: {name}{wanted}{bound}")
    return Gate(text.strip(), name, _bound(text, name, bound))


def judge(gates: Sequence[Gate], results: Sequence[Result]) -> tuple[Missed, ...]:
    """The gates that `results`, of the hosts of a wave, miss, in their order; () where all are kept."""
    found = (_share(gate, results) if gate.name in _SHARES else _figure(gate, results) for gate in gates)
    return tuple(missed for missed in found if missed is not None)


def parse_max_fail(text: str) -> str:
    """`text` without blanks: a number of hosts from 0, or a share of the fleet. Raises UsageError, with the form."""
    found = text.strip()
    number = found.removesuffix("%")
    if _NUMBER.fullmatch(number) is None or (number == found and "." in number) or _is_no_share(found):
        raise UsageError(f"--max-fail {text!r} is no number of hosts and no share of them: write it as 3 or 5%")
    return found


def most_failures(max_fail: str, total: int) -> int:
    """How many of `total` hosts may fail: of a share the whole part, so 5% of 30 hosts is one. Raises UsageError."""
    found = parse_max_fail(max_fail)
    if found.endswith("%"):
        return math.floor(Fraction(found[:-1]) * total / 100)
    return int(found)


def too_many(policy: Policy, results: Sequence[Result], total: int) -> Missed | None:
    """What is said once more hosts of a rollout over `total` have failed than its policy takes; None before that.

    Hosts that could not be reached do not count: nothing was changed there, and they are tried again. Nor do those that
    were rolled back with their wave, which did nothing wrong themselves. Raises UsageError.
    """
    failed = [result for result in results if result.state is State.FAILED]
    most = most_failures(policy.max_fail, total)
    if len(failed) <= most:
        return None
    worst = failed[:WORST]
    bound = f"{policy.max_fail} (of {total} hosts: {most})" if policy.max_fail.endswith("%") else policy.max_fail
    said = f"{len(failed)} {'host has' if len(failed) == 1 else 'hosts have'} failed, more than --max-fail {bound}"
    named = ", ".join(result.member for result in worst) + _more(len(failed))
    return Missed(f"max-fail {policy.max_fail}", f"{said}: {named}", tuple(result.member for result in worst))


def _is_no_share(text: str) -> bool:
    return text.endswith("%") and Fraction(text[:-1]) > 100


def _bound(text: str, name: str, bound: str) -> Fraction:
    if name in _SHARES:
        number = bound.removesuffix("%")
        if number == bound or _NUMBER.fullmatch(number) is None or not 0 < Fraction(number) <= 100:
            raise UsageError(f"--gate {text!r}: {bound} is no share above 0% and up to 100%: {_FORM}")
        return Fraction(number)
    if name.endswith("-seconds"):
        number = bound.removesuffix("s")
        if _NUMBER.fullmatch(number) is None:
            raise UsageError(f"--gate {text!r}: {bound} is no number of seconds: {_FORM}")
        return Fraction(number)
    try:
        return Fraction(parse_size(bound), KIB)
    except ValueError as error:
        raise UsageError(f"--gate {text!r}: {error}") from error


def _figure(gate: Gate, results: Sequence[Result]) -> Missed | None:
    part, figure = gate.name.split("-")
    well = [result for result in results if result.state.is_well]
    if not well:
        return Missed(gate.text, f"{gate.text}: the new release runs on no host, so there is no figure")
    values = {result.member: _value(result, figure) for result in well}
    found = nearest_rank(list(values.values()), _PERCENTS[part])
    if found <= gate.bound:
        return None
    order = sorted(values, key=lambda member: (-values[member], member))
    worst = tuple(order[:WORST])
    above = sum(value > gate.bound for value in values.values())
    named = ", ".join(f"{member} ({_shown(values[member], figure)})" for member in worst) + _more(above)
    unmeasured = sum(value == math.inf for value in values.values())
    if found == math.inf:
        was = "was" if unmeasured == 1 else "were"
        said = f"{unmeasured} of {show_hosts(len(well))} {was} not measured, so {part} "
        said += f"{_FIGURES[figure]} is not known to be at most {_shown(gate.bound, figure)}"
    else:
        said = f"{part} {_FIGURES[figure]} is {_shown(found, figure)}, the most is {_shown(gate.bound, figure)}"
    return Missed(gate.text, f"{gate.text}: {said}; the worst: {named}", worst)


def _value(result: Result, figure: str) -> float:
    """What was not measured is above every bound."""
    if figure == "seconds":
        return result.seconds
    kib = result.hwm_kib if figure == "hwm" else result.rss_kib
    if kib is None or (figure == "rss" and result.rss_error_kib is None):
        return math.inf
    return kib + (result.rss_error_kib or 0 if figure == "rss" else 0)


def _share(gate: Gate, results: Sequence[Result]) -> Missed | None:
    what, holds = _SHARES[gate.name]
    tried = [result for result in results if result.state is not State.WAITING]
    others = [result for result in tried if not holds(result)]
    if tried and 100 * (len(tried) - len(others)) >= gate.bound * len(tried):
        return None
    said = f"{len(tried) - len(others)} of {show_hosts(len(tried))} {what}"
    if tried:
        said += f", {_percent(len(tried) - len(others), len(tried))}; the least is {_number(gate.bound)}%"
    # First those that failed: who only could not be reached, or has no figure, is less of a sign.
    others.sort(key=lambda result: (result.state is not State.FAILED, result.verdict != "FAIL"))
    worst = tuple(result.member for result in others[:WORST])
    named = ", ".join(f"{result.member} ({_why(result)})" for result in others[:WORST]) + _more(len(others))
    return Missed(gate.text, f"{gate.text}: {said}" + (f"; the worst: {named}" if worst else ""), worst)


def _why(result: Result) -> str:
    return result.verdict or "no reading" if result.state.is_well else result.state.value


def _shown(value: float | Fraction, figure: str) -> str:
    if value == math.inf:
        return "not measured"
    if figure == "seconds":
        return f"{float(value):.1f} s"
    return show_kib(math.ceil(value)) if value == math.ceil(value) else f"{float(value):,.3f} KiB"


def _percent(part: int, whole: int) -> str:
    """Rounded down: 99.96 % is not shown as the 100 % that was asked for."""
    return f"{part * 1000 // whole / 10:.1f}%"


def _number(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else str(float(value))


def _more(count: int) -> str:
    return f" and {count - WORST} more" if count > WORST else ""
