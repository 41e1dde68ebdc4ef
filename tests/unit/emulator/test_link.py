"""A slow link changes when bytes arrive, never which; times are bounded from below, for busy machines."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from deploy.emulator.link import Link

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
DEADLINE_S = 30


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes goes back; the end too."""
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says how much there was, once there is no more."""
    writer.write(b"%d bytes" % len(await reader.read()))
    writer.close()


@asynccontextmanager
async def through(serve: Serve, *, latency_s: float = 0.0, bits_per_s: float = 0.0) -> AsyncIterator[Ends]:
    """A connection over a link to a server of the test's own."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = Link(server.sockets[0].getsockname()[1], latency_s=latency_s, bits_per_s=bits_per_s)
    try:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", await link.start())
            yield reader, writer
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
    finally:
        await link.stop()
        server.close()


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    writer.write_eof()


@pytest.mark.parametrize("latency_s", [0.0, 0.02])
def test_a_mebibyte_arrives_unharmed_both_ways(latency_s: float) -> None:
    data = os.urandom(1024 * 1024)

    async def story() -> bytes:
        async with through(echo, latency_s=latency_s) as (reader, writer), asyncio.TaskGroup() as both:
            both.create_task(send(writer, data))
            return await reader.read()

    assert asyncio.run(story()) == data


def test_a_side_that_has_sent_all_still_gets_its_answer() -> None:
    async def story() -> bytes:
        async with through(answer_at_the_end, latency_s=0.01) as (reader, writer):
            await send(writer, b"x" * 100_000)
            return await reader.read()

    assert asyncio.run(story()) == b"100000 bytes"


def test_each_way_takes_the_latency() -> None:
    async def story() -> float:
        async with through(echo, latency_s=0.05) as (reader, writer):
            began_s = time.monotonic()
            for _ in range(3):
                writer.write(b"x")
                await reader.readexactly(1)
            return time.monotonic() - began_s

    assert asyncio.run(story()) >= 3 * 2 * 0.05 * 0.95


def test_latency_does_not_add_up_over_what_is_under_way() -> None:
    """A pipe, not a queue with a pause for each: 64 pieces of 50 ms one after the other would be 3.2 s each way."""

    async def story() -> float:
        async with through(echo, latency_s=0.05) as (reader, writer):
            began_s = time.monotonic()
            async with asyncio.TaskGroup() as both:
                both.create_task(send(writer, bytes(1024 * 1024)))
                assert len(await reader.read()) == 1024 * 1024
            return time.monotonic() - began_s

    assert 0.095 <= asyncio.run(story()) < 3.2


def test_no_more_than_the_bandwidth_goes_through() -> None:
    async def story() -> float:
        async with through(answer_at_the_end, bits_per_s=4_000_000) as (reader, writer):
            began_s = time.monotonic()
            await send(writer, bytes(250_000))  # 2,000,000 bits
            assert await reader.read() == b"250000 bytes"
            return time.monotonic() - began_s

    assert asyncio.run(story()) >= 0.5 * 0.95


def test_where_nobody_listens_the_connection_ends() -> None:
    async def story() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        link = Link(port)
        try:
            async with asyncio.timeout(DEADLINE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", await link.start())
                left = await reader.read()
                writer.close()
                return left
        finally:
            await link.stop()

    assert asyncio.run(story()) == b""


def test_a_far_side_that_hangs_up_is_told_on() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.transport.abort()

    async def story() -> bytes:
        async with through(hang_up) as (reader, writer):
            writer.write(b"hello")
            try:
                return await reader.read()
            except ConnectionError:
                return b""

    assert asyncio.run(story()) == b""


def test_a_stop_cuts_what_is_open() -> None:
    async def story() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        link = Link(server.sockets[0].getsockname()[1])
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", await link.start())
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await link.stop()
            left = await reader.read()
            writer.close()
        server.close()
        return left

    assert asyncio.run(story()) == b""
