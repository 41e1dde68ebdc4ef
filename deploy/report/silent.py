"""Knows how to show nothing: with --json, standard output holds one document and nothing else. Rich is not loaded then.

`Shows` is what a command needs of a screen; the one that people see is `console.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from deploy.steps.face import Observer, StepRecord


class Shows(Protocol):
    """A place to print to."""

    def say(self, text: str = "", style: str = "") -> None:
        """Print lines."""
        ...

    def pairs(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Print a table of names and values."""
        ...

    def steps(self) -> AbstractContextManager[Observer]:
        """An observer of a deployment; a context, because a terminal has to be put back in order."""
        ...


class Silent:
    """A screen, and an observer, that say nothing."""

    def say(self, text: str = "", style: str = "") -> None:
        """Nothing."""

    def pairs(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Nothing."""

    def steps(self) -> Silent:
        """Itself."""
        return self

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def started(self, title: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def progress(self, done: int, total: int) -> None:
        """Nothing."""

    def finished(self, record: StepRecord) -> None:
        """Nothing."""


def screen(*, as_json: bool) -> Shows:
    """The screen of a command: silent where it prints a document instead."""
    if as_json:
        return Silent()
    from deploy.report.console import Screen

    return Screen()
