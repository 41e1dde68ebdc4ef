"""Knows how a command that came over SSH runs on the loopback board: in /bin/sh, with pipes, as in OpenSSH."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

import asyncssh

_PIECE_BYTES = 65536


class Sessions:
    """Runs commands with one environment, whose HOME is their working folder."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run the command of `process` (a login shell without one) and report how it ended.

        The session lasts until the command has ended and its output is at its end, also where a child of it keeps the
        output open. Where the client goes before that, the command's process group gets HUP, as from a terminal.
        """
        arguments = ["/bin/sh", "-c", process.command] if process.command else ["/bin/sh"]
        child = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            cwd=self._environment["HOME"],
            start_new_session=True,
        )
        feeding = asyncio.create_task(_feed(process.stdin, child.stdin))
        serving = asyncio.create_task(_drain(process, child))
        leaving = asyncio.create_task(process.wait_closed())
        await asyncio.wait({serving, leaving}, return_when=asyncio.FIRST_COMPLETED)
        feeding.cancel()
        if not serving.done():
            serving.cancel()
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGHUP)
            await child.wait()
            return
        leaving.cancel()
        status = serving.result()
        if status >= 0:
            process.exit(status)
        else:
            process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))


async def _feed(source: Any, sink: Any) -> None:
    """The client's standard input to the command's; a command that reads no more gets no more."""
    with suppress(BrokenPipeError, ConnectionResetError, asyncssh.BreakReceived, asyncssh.SignalReceived):
        while data := await source.read(_PIECE_BYTES):
            sink.write(data)
            await sink.drain()
    with suppress(BrokenPipeError, ConnectionResetError):
        sink.close()
        await sink.wait_closed()


async def _drain(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> int:
    """The command's output to the client, to its end; then how the command ended."""
    await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
    return await child.wait()


async def _copy(source: Any, sink: Any) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        while data := await source.read(_PIECE_BYTES):
            sink.write(data)
            await sink.drain()
