"""Knows how a command that came over SSH runs on the loopback board: in /bin/sh, with pipes, as in OpenSSH."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

import asyncssh

_PIECE_BYTES = 65536
_PAUSE_S = 0.02
_NOT_FOUND_STATUS = 127
"""What sh(1) says of a command that is not found."""
_HANG_UP_S = 2.0
"""How long a command may take to end after its client has gone, before it is killed."""


class Sessions:
    """Runs commands with one environment, whose HOME is their working folder."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run the command of `process` (a login shell without one) and report how it ended.

        The session lasts until the command has ended and its output is at its end, also where a child of it keeps the
        output open. Where the client goes before that, the command's process group is ended; what has made a session
        of its own (setsid) stays.
        """
        if process.subsystem is not None:
            process.stderr.write(b"there is no such subsystem\n")
            process.exit(_NOT_FOUND_STATUS)
            return
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
        feeding = asyncio.create_task(_feed(process.stdin, child))
        serving = asyncio.create_task(_drain(process, child))
        leaving = asyncio.create_task(process.wait_closed())
        try:
            await asyncio.wait({serving, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (feeding, leaving):
                task.cancel()
            if not serving.done():
                serving.cancel()
                await _end_group(child.pid)
        if serving.cancelled() or not serving.done():
            return
        status = serving.result()
        if status >= 0:
            process.exit(status)
        else:
            process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))


async def _end_group(group: int) -> None:
    """HUP, as from a terminal that is gone; KILL for what takes no notice."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGHUP)
        try:
            async with asyncio.timeout(_HANG_UP_S):
                while True:
                    os.killpg(group, 0)
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError:
            os.killpg(group, signal.SIGKILL)


async def _feed(source: Any, child: asyncio.subprocess.Process) -> None:
    """The client's standard input to the command's, and signals (RFC 4254, 6.9) to its process group.

    A command that reads no more gets no more.
    """
    sink = child.stdin
    assert sink is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        while True:
            try:
                data = await source.read(_PIECE_BYTES)
            except asyncssh.SignalReceived as sent:
                _signal_group(child.pid, sent.signal)
                continue
            except (asyncssh.BreakReceived, asyncssh.TerminalSizeChanged):
                continue
            if not data:
                break
            sink.write(data)
            await sink.drain()
    with suppress(BrokenPipeError, ConnectionResetError):
        sink.close()
        await sink.wait_closed()


def _signal_group(group: int, name: str) -> None:
    with suppress(KeyError, ProcessLookupError):
        os.killpg(group, signal.Signals[f"SIG{name}"])


async def _drain(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> int:
    """The command's output to the client, to its end; then how the command ended."""
    await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
    return await child.wait()


async def _copy(source: Any, sink: Any) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        while data := await source.read(_PIECE_BYTES):
            sink.write(data)
            await sink.drain()
