"""Knows how something is made once for all threads that want it, and is waited for by those that come meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Once(Generic[Value]):
    """Values by key. What failed is not tried again: everybody who wants it gets the same error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Future[Value]] = {}

    def peek(self, key: Hashable) -> Value | None:
        """The value of `key` where it is made already; waits for nobody."""
        with self._lock:
            found = self._made.get(key)
        return found.result() if found is not None and found.done() and found.exception() is None else None

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of `key`, made by the first who asks. Raises what `make` raised."""
        with self._lock:
            found = self._made.get(key)
            if found is None:
                mine: Future[Value] = Future()
                self._made[key] = mine
        if found is not None:
            return found.result()
        try:
            mine.set_result(make())
        except Exception as error:
            mine.set_exception(error)
        except BaseException as error:  # Ctrl-C in one thread is no answer for the others
            with self._lock:
                del self._made[key]
            mine.set_exception(RuntimeError("it was interrupted"))
            raise error
        return mine.result()
