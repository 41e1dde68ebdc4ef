"""Knows how something is done when a time is over, for thousands of deadlines at once, hardly one of which ever passes.

One thread waits for all of them: a thread for each deadline, as `threading.Timer` has it, is a good part of what a
question to a host costs.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

IDLE_S = 0.2
"""For so long the thread stays where there is no deadline; the next one begins another."""


class Alarm:
    """Deadlines, each with what is done when it has passed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: list[tuple[float, int]] = []
        """A heap; those that were met stay in it until their time, without what would have been done."""
        self._acts: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    @contextmanager
    def after(self, seconds: float, act: Callable[[], None]) -> Iterator[None]:
        """`act` is called, in a thread of its own, unless the context has ended within so many seconds."""
        number = next(self._numbers)
        with self._changed:
            self._acts[number] = act
            heapq.heappush(self._deadlines, (time.monotonic() + seconds, number))
            if self._thread is None or not self._thread.is_alive():  # as it is in a process that was forked
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif self._deadlines[0][1] == number or len(self._deadlines) == 1:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._acts.pop(number, None)
                if not self._acts:
                    self._deadlines.clear()
                    self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                act = self._next()
                if act is None and not self._deadlines and not self._changed.wait(IDLE_S) and not self._deadlines:
                    self._thread = None
                    return
            if act is not None:
                # What it does may take its time: closing a channel waits for a socket that takes nothing.
                threading.Thread(target=act, name="deadline", daemon=True).start()

    def _next(self) -> Callable[[], None] | None:
        """What is to be done now, once there is something, or None; waits for the next deadline."""
        if not self._deadlines:
            return None
        at_s, number = self._deadlines[0]
        left_s = at_s - time.monotonic()
        if number in self._acts and left_s > 0:
            self._changed.wait(left_s)
            return None
        heapq.heappop(self._deadlines)
        return self._acts.pop(number, None)


ALARM = Alarm()
"""This process's."""
