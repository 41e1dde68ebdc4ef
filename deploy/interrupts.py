"""Knows how to let something finish that must not be left half done: Ctrl-C, TERM and HUP wait until it has."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the polite kill, and a terminal that was closed: what is half done is put back after each of them."""


@contextmanager
def held_interrupts() -> Iterator[None]:
    """While the context lasts, the ENDING signals are only noted; at its end the first one is raised.

    Raised is KeyboardInterrupt, for all. One that is ignored (nohup) stays so. Outside the main thread, where Python
    delivers no signals, nothing is held.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)

    heeded = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if noted:
        raise KeyboardInterrupt


@contextmanager
def noted_interrupts(tell: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Whether an ENDING signal has come, for work that ends in order by itself; `tell` is called at the first one.

    The second is raised at once, as KeyboardInterrupt. Only for the main thread, which is the one that gets signals.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        if len(noted) > 1:
            raise KeyboardInterrupt
        tell()

    heeded = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield lambda: bool(noted)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
