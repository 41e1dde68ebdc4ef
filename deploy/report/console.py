"""Knows how to show things to a person: progress while it happens, then tables. The only module that knows Rich.

On a terminal there are colours, a spinner and bars; anywhere else each event is one plain line. NO_COLOR is honoured by
Rich itself (no-color.org). What is shown, and in which words, is decided by the callers; text is never read as markup,
and no control character in it reaches the terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich import box
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from deploy.model.display import clean
from deploy.steps.face import StepRecord

STYLES = {"PASS": "bold green", "FAIL": "bold red", "NOT MEASURED": "bold yellow"}

_NARROWEST = 60


class _Output(Console):
    """A console whose reader may go away (head, less): what is under way comes to its end, and to its own exit code."""

    def __init__(self, *, ends_with_reader: bool = False, **options: Any) -> None:
        super().__init__(highlight=False, **options)
        self._ends_with_reader = ends_with_reader

    def on_broken_pipe(self) -> None:
        """Rich calls it. A deployment half way is no place to stop, and Rich's own SystemExit(1) would mean FAIL."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())  # Python writes out what is left of it at the end
        os.close(nowhere)
        if self._ends_with_reader:
            raise BrokenPipeError


def _text(text: str, style: str = "") -> Text:
    """`text` literally, all of it: part of any text may be a board's."""
    return Text(clean(text, len(text)), style=style)


class Screen:
    """One place to print to; see `report/silent.py` for the other.

    With `ends_with_reader` printing raises BrokenPipeError once nobody reads any more, for what has no end of its own.
    """

    def __init__(self, *, ends_with_reader: bool = False) -> None:
        self._out = _Output(file=sys.stdout, soft_wrap=False, ends_with_reader=ends_with_reader)
        self._err = _Output(file=sys.stderr, soft_wrap=True)
        if not self._out.is_terminal and self._out.width < _NARROWEST:
            self._out.width = _NARROWEST

    def say(self, text: str = "", style: str = "") -> None:
        """One line, or several, as they are."""
        self._out.print(_text(text, style), soft_wrap=True)

    def error(self, text: str, style: str = "") -> None:
        """The same on standard error."""
        self._err.print(_text(text, style))

    def pairs(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """A table of names and values; a value that is a verdict gets its colour."""
        table = Table(title=_text(title), title_justify="left", box=box.SIMPLE_HEAD, show_header=False, padding=(0, 1))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            style = next((STYLES[verdict] for verdict in STYLES if value.startswith(verdict)), "")
            table.add_row(_text(name), _text(value, style))
        self._out.print(table)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table with a heading a column."""
        table = Table(title=_text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
        for number, column in enumerate(columns):
            # What a row is called stands whole, to be copied from; the other columns give way.
            table.add_column(_text(column), overflow="fold", no_wrap=number == 0)
        for row in rows:
            table.add_row(*[_text(cell, STYLES.get(cell, "")) for cell in row])
        self._out.print(table)

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it, and not a file or a pipe."""
        return self._out.is_terminal

    def canvas(self) -> Canvas:
        """A part of the terminal that is drawn again and again; a context, and what was drawn last stays."""
        return Canvas(self._out)

    def steps(self) -> Steps:
        """An observer of a deployment; a context, because a terminal has to be put back in order."""
        return Steps(self._out)


class Canvas:
    """Some lines of the terminal; see `Screen.canvas`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Canvas:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows that there are now; one column and one row stay free for the cursor."""
        return self._console.width - 1, self._console.height - 1

    def draw(self, lines: Sequence[str]) -> None:
        """These lines in place of those before."""
        text = _text("\n".join(lines))
        text.no_wrap, text.overflow = True, "crop"
        self._live.update(text, refresh=True)


class Steps:
    """Shows steps as they go: a live line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._last_note = ""

    def __enter__(self) -> Steps:
        if self._live:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()
        if self._live:
            self._progress.stop()

    def _drop(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def started(self, title: str) -> None:
        """A step begins."""
        self._drop()
        self._last_note = ""
        if self._live:
            self._task = self._progress.add_task(clean(title), total=None, note="")

    def note(self, text: str) -> None:
        """What the step is doing now; a line of its own where there is no terminal, unless it says the same again."""
        if self._task is not None:
            self._progress.update(self._task, note=clean(text)[:60])
        elif text != self._last_note:
            self._console.print(_text(f"    {text}"), soft_wrap=True)
        self._last_note = text

    def progress(self, done: int, total: int) -> None:
        """How far the step is; shown on a terminal only."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=max(1, total))

    def finished(self, record: StepRecord) -> None:
        """One line that stays: done or skipped, how long, and what came of it."""
        self._drop()
        mark, style = ("=", "dim") if record.skipped else ("+", "green")
        seconds = "" if record.skipped else f"  ({record.seconds:.1f} s)"
        line = _text(f"{mark} {record.title:<10} ", style) + _text(f"{record.skipped or record.detail}{seconds}")
        self._console.print(line, soft_wrap=True)
