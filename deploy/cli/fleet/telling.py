"""Knows how the results of a fleet are told: a line a host as it ends, a table with the worst first, a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from deploy.model.rollout import Result, State
from deploy.model.units import show_hosts
from deploy.report.problems import problem_lines, problems_of
from deploy.report.silent import Shows

_WORST_FIRST = (4, 70, 2, 1, 3, 0)
"""Exit codes: a host that failed before a FAIL, that before a NOT MEASURED, and PASS last."""

_MOST_ROWS = 40
"""More rows than a screen or two has: the well ones are counted then."""

_MOST_NAMES = 8


class Lines:
    """A plain line a host, with how many have ended."""

    def __init__(self, screen: Shows, total: int) -> None:
        self._screen, self._total, self._ended = screen, total, 0

    def ended(self, result: Result) -> None:
        """A member has its result."""
        self._ended += 1
        what = _word(result)
        figure = f"{result.rss_kib:,} KiB" if result.rss_kib is not None else ""
        parts = [what, figure, result.problem]
        said = "  ".join(part for part in parts if part)
        self._screen.say(f"{self._ended:>{len(str(self._total))}}/{self._total}  {result.member}  {said}")


def worst_exit_code(results: Sequence[Result]) -> int:
    """The code with which the command over all of them ends."""
    codes = {result.exit_code for result in results}
    return next((code for code in _WORST_FIRST if code in codes), max(codes, default=0))


def in_order(results: Sequence[Result]) -> list[Result]:
    """The worst first; of equal ones the largest first."""
    rank = {code: place for place, code in enumerate(_WORST_FIRST)}
    return sorted(results, key=lambda each: (rank.get(each.exit_code, 1), -(each.rss_kib or 0), each.member))


def show_results(screen: Shows, results: Sequence[Result], seconds: float) -> None:
    """Each problem once with its hosts and its cure, then the figures, then the counts."""
    for line in problem_lines(problems_of(each for each in results if each.problem), _MOST_NAMES):
        screen.say(line)
    answers: dict[str, list[str]] = {}
    for result in results:
        if "stdout" in (result.document or {}) and not result.problem:
            answers.setdefault(str((result.document or {})["stdout"]).rstrip("\n"), []).append(result.member)
    for answer, names in answers.items():
        screen.say(f"{_named(names)}:" + "".join(f"\n    {line}" for line in answer.splitlines() or ["(nothing)"]))
    rows = [
        (each.member, f"{_word(each)}  {_figures(each)}  {each.seconds:.1f} s")
        for each in in_order(results)[:_MOST_ROWS]
    ]
    if any(each.verdict for each in results):
        more = f", {_MOST_ROWS} of {len(results):,}" if len(results) > _MOST_ROWS else ""
        screen.pairs(f"The worst first{more}", rows)
    counts = Counter(map(_word, results))
    told = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    screen.say(f"{show_hosts(len(results))} in {seconds:.1f} s: {told}")


def _word(result: Result) -> str:
    """What became of it, in a word: a verdict, "done" for a script that ended well, else its state."""
    if result.verdict:
        return result.verdict
    return "done" if "stdout" in (result.document or {}) and not result.problem else result.state.value


def _named(names: Sequence[str]) -> str:
    return " ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def _figures(result: Result) -> str:
    if result.rss_kib is None:
        return ""
    return f"VmRSS {result.rss_kib:,} KiB" + (f", VmHWM {result.hwm_kib:,}" if result.hwm_kib is not None else "")


def results_document(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """The JSON document of a command over a fleet (docs/json.md)."""
    return {
        "seconds": round(seconds, 3),
        "exit_code": worst_exit_code(results),
        "reached": sum(result.state is not State.UNREACHABLE for result in results),
        "hosts": [_row(result) for result in results],
    }


def _row(result: Result) -> dict[str, Any]:
    told = asdict(replace(result, record=None)) | {"state": result.state.value, "verdict": result.verdict or None}
    del told["record"]
    return told
