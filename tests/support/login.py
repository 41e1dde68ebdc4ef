"""An SSH client of the tests for the loopback board: its keys and known hosts are the board's, and none the user's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh

from deploy.emulator.kept import KeptBoard

DEADLINE_S = 30
Use = Callable[[asyncssh.SSHClientConnection], Awaitable[Any]]


def logged_in(board: KeptBoard, use: Use, **more: Any) -> Any:
    """What `use` makes of a connection."""

    async def connected() -> Any:
        settings: dict[str, Any] = {
            "username": board.user,
            "client_keys": [str(board.key_file)],
            "known_hosts": str(board.known_hosts_file),
            "config": None,
            "agent_path": None,
            **more,
        }
        async with asyncio.timeout(DEADLINE_S), asyncssh.connect(board.address, board.port, **settings) as connection:
            return await use(connection)

    return asyncio.run(connected())


def run(board: KeptBoard, command: str) -> str:
    """What a command that has to succeed writes."""

    async def use(connection: asyncssh.SSHClientConnection) -> str:
        return str((await connection.run(command, check=True)).stdout).strip()

    return str(logged_in(board, use))


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether it comes true in that time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(0.01)
    return True
