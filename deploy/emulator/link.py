"""Knows a slow link: bytes that arrive `latency_s` later, and no faster than `bits_per_s`, in each direction.

It stands between a port of 127.0.0.1 and the emulated board's SSH port. Packets are TCP's business on either side.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

_PIECE_BYTES = 16 * 1024
_QUEUED_PIECES = 256


class Link:
    """A relay from a port of its own to `port`."""

    def __init__(self, port: int, *, latency_s: float = 0.0, bits_per_s: float = 0.0) -> None:
        self._port = port
        self._latency_s = latency_s
        self._bits_per_s = bits_per_s
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Listen no more, and cut what is open."""
        if self._server is not None:
            self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: that of a server's coroutine can't be cancelled before Python 3.12 without an error logged.
        relay = asyncio.create_task(self._serve(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._carry(reader, far_writer))
                    both.create_task(self._carry(far_reader, writer))
            except asyncio.CancelledError:
                far_writer.transport.abort()
                writer.transport.abort()
                raise
            finally:
                far_writer.close()
        except* OSError:
            pass  # one side has gone; the other is told by the close
        finally:
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction: a piece is sent when its last bit would have arrived."""
        clock = asyncio.get_running_loop().time
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED_PIECES)

        async def read() -> None:
            free_at = 0.0
            while piece := await reader.read(_PIECE_BYTES):
                free_at = max(free_at, clock())
                if self._bits_per_s:
                    free_at += len(piece) * 8 / self._bits_per_s
                await queue.put((free_at + self._latency_s, piece))
            await queue.put((max(free_at, clock()) + self._latency_s, b""))

        async def write() -> None:
            while True:
                due, piece = await queue.get()
                await asyncio.sleep(max(0.0, due - clock()))
                if not piece:
                    with suppress(OSError):
                        writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()

        async with asyncio.TaskGroup() as ends:
            ends.create_task(read())
            ends.create_task(write())
