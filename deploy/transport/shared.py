"""Knows how several users share one thing that is dear to open: it is opened once, and closed after the last of them.

What is shared, and when it is dead, the caller says: connections to jump hosts, for all hosts behind them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from deploy.errors import SlimdeployError

T = TypeVar("T")

LINGER_S = 3.0
"""For so long a thing that nobody uses stays open: between two hosts there may be a moment in which none needs it."""


@dataclass(slots=True)
class _Open(Generic[T]):
    value: T
    users: int = 0


@dataclass(slots=True)
class _Kept(Generic[T]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever opens it; others wait, and then take what was opened, or what went wrong."""
    opened: _Open[T] | None = None
    waiting: int = 0
    tried: int = 0
    problem: SlimdeployError | None = None
    """Why it could not be opened the last time it was tried."""


@dataclass(slots=True)
class Shared(Generic[T]):
    """Things by their keys."""

    is_alive: Callable[[T], bool]
    close: Callable[[T], None]
    linger_s: float = LINGER_S
    _kept: dict[Hashable, _Kept[T]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key: Hashable, open_it: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """The thing, opened by `open_it` where there is none or a dead one, and what gives it back.

        Raises what `open_it` raises; whoever waited for that very attempt gets the same error, and does not try again.
        """
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            kept.waiting += 1
            tried = kept.tried
        try:
            with kept.lock:
                if kept.opened is None or not self.is_alive(kept.opened.value):
                    if kept.problem is not None and kept.tried != tried:
                        raise _copied(kept.problem)
                    self._open(kept, open_it)
                assert kept.opened is not None
                return kept.opened.value, self._lent(key, kept, kept.opened)
        finally:
            with self._lock:
                kept.waiting -= 1
                self._forget_nothing(key, kept)

    def _open(self, kept: _Kept[T], open_it: Callable[[], T]) -> None:
        if kept.opened is not None:  # it is dead, which its other users find out by themselves
            with suppress(Exception):
                self.close(kept.opened.value)
        kept.opened = kept.problem = None
        try:
            kept.opened = _Open(open_it())
        except SlimdeployError as error:
            kept.problem = error
            raise
        finally:
            kept.tried += 1

    def _lent(self, key: Hashable, kept: _Kept[T], opened: _Open[T]) -> Callable[[], None]:
        with self._lock:
            opened.users += 1
        returned = threading.Event()

        def give_back() -> None:
            with self._lock:
                if returned.is_set():
                    return
                returned.set()
                opened.users -= 1
                unused = not opened.users
            if unused:
                timer = threading.Timer(self.linger_s, self._close_unused, (key, kept, opened))
                timer.daemon = True
                timer.start()

        return give_back

    def _close_unused(self, key: Hashable, kept: _Kept[T], opened: _Open[T]) -> None:
        with self._lock:
            if opened.users or kept.waiting or kept.opened is not opened:
                return
            kept.opened = None
            self._forget_nothing(key, kept)
        self.close(opened.value)

    def _forget_nothing(self, key: Hashable, kept: _Kept[T]) -> None:
        if kept.opened is None and not kept.waiting and self._kept.get(key) is kept:
            del self._kept[key]


def _copied(error: SlimdeployError) -> SlimdeployError:
    """One of its own for each who is told: they add notes to it."""
    copied = type(error).__new__(type(error))
    copied.__dict__.update({name: value for name, value in error.__dict__.items() if name != "__notes__"})
    copied.args = error.args
    return copied
