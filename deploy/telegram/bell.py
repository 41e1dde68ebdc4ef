"""Knows how tasks of one event loop wait for "something changed". What changed they see for themselves."""

from __future__ import annotations

import asyncio


class Bell:
    """Rung after every change. A waiter looks first, then waits; nothing runs between the two, so no ring is missed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake whoever waits."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def wait(self, seconds: float, *ends: asyncio.Future[None]) -> None:
        """Wait for the next ring, for one of `ends`, or that long."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await asyncio.wait({waiter, *ends}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(waiter)
            waiter.cancel()
