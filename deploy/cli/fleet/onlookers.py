"""Knows how a rollout is shown while it goes: a view of the wave on a terminal, a plain line a host anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.fleet.engine import Onlooker
from deploy.model.display import clean
from deploy.model.rollout import Missed, Result, Rollout, State, Wave
from deploy.model.units import show_hosts, show_span
from deploy.report.fleet import COLUMNS, Row, is_ended, progress_line, wave_rows
from deploy.report.silent import Shows

_DRAWN_EVERY_S = 0.2
"""More often than that nobody sees, and a thousand hosts would be drawn a thousand times."""

_FRAME = 4
"""Lines of the view that are no hosts: the totals, a blank one, the headings, the last remark."""


class Nobody:
    """Whom nothing is shown: where a document is printed in the end."""

    def wave(self, wave: Wave, count: int) -> None:
        """Nothing."""

    def began(self, member: str) -> None:
        """Nothing."""

    def ended(self, result: Result) -> None:
        """Nothing."""

    def missed(self, wave: Wave, missed: Sequence[Missed]) -> None:
        """Nothing."""

    def waits(self, left_s: float) -> None:
        """Nothing."""


@dataclass(slots=True)
class PlainLines:
    """A line for each thing that happens."""

    say: Callable[[str], None]
    rollout: Rollout
    done: set[str]
    waiting: bool = False

    def wave(self, wave: Wave, count: int) -> None:
        """Which wave it is, and how many hosts of it."""
        self.waiting = False
        self.say(wave_title(wave, len(self.rollout.waves), count))

    def began(self, member: str) -> None:
        """Nothing: its end has a line."""

    def ended(self, result: Result) -> None:
        """The host, what became of it, and the figure."""
        self.done.add(result.member)
        total = sum(len(wave.members) for wave in self.rollout.waves)
        figure = f"{result.rss_kib:,} KiB" if result.rss_kib is not None else ""
        what = (result.state.value, result.verdict, figure, f"{result.seconds:.1f} s", result.problem)
        line = "  ".join(part for part in what if part)
        self.say(f"{len(self.done):>{len(str(total))}}/{total}  {result.member}  {line}")

    def missed(self, wave: Wave, missed: Sequence[Missed]) -> None:
        """Each of them."""
        for each in missed:
            self.say(f"missed: {each.sentence}")

    def waits(self, left_s: float) -> None:
        """Once a pause."""
        if not self.waiting:
            self.say(f"waiting {show_span(left_s)} before the next wave")
        self.waiting = True


@dataclass(slots=True)
class View:
    """The wave as a table that is drawn again and again: its hosts grouped by state, the totals, the time left."""

    draw: Callable[[Sequence[str]], None]
    size: Callable[[], tuple[int, int]]
    rollout: Rollout
    results: dict[str, Result]
    clock: Callable[[], float] = time.monotonic
    now: Wave | None = None
    remark: str = ""
    _drawn_s: float = field(default=float("-inf"))

    def wave(self, wave: Wave, count: int) -> None:
        """A wave becomes the one that is shown."""
        self.now, self.remark = wave, ""
        self._show(at_once=True)

    def began(self, member: str) -> None:
        """The host is under way."""
        before = self.results.get(member)
        if before is None or not is_ended(before):
            self.results[member] = Result(member, State.UNDER_WAY)
        self._show()

    def ended(self, result: Result) -> None:
        """The host's row becomes its result."""
        self.results[result.member] = result
        members = self.now.members if self.now else ()
        self._show(at_once=all(is_ended(self.results.get(name)) for name in members))

    def missed(self, wave: Wave, missed: Sequence[Missed]) -> None:
        """The last one as a remark; all of them stand at the end."""
        self.remark = f"missed: {missed[-1].sentence}"
        self._show(at_once=True)

    def waits(self, left_s: float) -> None:
        """How long yet."""
        self.remark = f"waiting {show_span(left_s)} before the next wave"
        self._show(at_once=True)

    def _show(self, *, at_once: bool = False) -> None:
        now_s = self.clock()
        if not at_once and now_s < self._drawn_s + _DRAWN_EVERY_S:
            return
        self._drawn_s = now_s
        width, height = self.size()
        wave = self.now or self.rollout.waves[0]
        rows = wave_rows(wave, self.results, max(3, height - _FRAME))
        lines = [progress_line(self.rollout, self.results), "", *columns([COLUMNS, *rows])]
        self.draw([line[:width] for line in [*lines, self.remark]])


def columns(rows: Sequence[Row]) -> list[str]:
    """The rows as lines whose cells stand under each other."""
    cells = [tuple(clean(cell) for cell in row) for row in rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def wave_title(wave: Wave, of: int, count: int) -> str:
    """Which wave of how many, and how many hosts of it."""
    hosts = show_hosts(count)
    if not wave.number:
        return f"once more: {hosts} out of reach"
    return f"wave {wave.number} of {of}: {hosts}"


def _line(screen: Shows, text: str) -> None:
    """At once, also where the output goes into a file that somebody reads meanwhile."""
    screen.say(text)
    sys.stdout.flush()


@contextmanager
def onlooker(screen: Shows, rollout: Rollout, results: dict[str, Result], *, as_json: bool) -> Iterator[Onlooker]:
    """Whoever is shown the rollout; `results` are those of before."""
    if as_json:
        yield Nobody()
        return
    from deploy.report.console import Screen

    if not isinstance(screen, Screen) or not screen.is_terminal:
        done = {name for name, result in results.items() if is_ended(result)}
        yield PlainLines(lambda text: _line(screen, text), rollout, done)
        return
    with screen.canvas() as canvas:
        yield View(canvas.draw, lambda: canvas.size, rollout, dict(results))
