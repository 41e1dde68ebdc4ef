"""Knows one emulated machine while it runs: QEMU as a child of ours, its console, and the login into it.

Which arguments QEMU gets is `qemu.py`'s; what is served beside it is `machine_daemon.py`'s.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncssh

from deploy.emulator.console import LISTENS, MADE, Console
from deploy.errors import LoopbackFailed

_PAUSE_S = 0.02
_LOGIN_TRY_S = 15.0
_END_S = 10.0
_READ_BYTES = 64 * 1024

# What Dropbear has from 2020 on; with asyncssh's whole lists an older Dropbear ends the connection.
_ALGORITHMS = {
    "kex_algs": ["curve25519-sha256"],
    "encryption_algs": ["chacha20-poly1305@openssh.com", "aes128-ctr"],
    "mac_algs": ["hmac-sha2-256"],
    "server_host_key_algs": ["ssh-ed25519"],
    "signature_algs": ["ssh-ed25519"],
    "compression_algs": None,
}
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None)  # found before a fork: nothing is loaded between fork and exec


@dataclass(frozen=True, slots=True)
class Door:
    """How to log in: the port of 127.0.0.1, our key, and the only host key that is right."""

    port: int
    user_key: asyncssh.SSHKey
    host_key: asyncssh.SSHKey
    user: str = "root"

    async def open(self) -> asyncssh.SSHClientConnection:
        """A connection. Raises OSError, asyncssh.Error, TimeoutError."""
        async with asyncio.timeout(_LOGIN_TRY_S):
            return await asyncssh.connect(
                "127.0.0.1",
                self.port,
                username=self.user,
                client_keys=[self.user_key],
                known_hosts=([self.host_key.convert_to_public()], [], []),
                config=None,
                agent_path=None,
                keepalive_interval=15,
                **_ALGORITHMS,
            )


class Guest:
    """QEMU and what runs in it; `boot` may be called again after `cut`."""

    def __init__(self, command: list[str], console: Console, name: str) -> None:
        self._command = command
        self._console = console
        self._name = name
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.login_s = 0.0
        """From QEMU's start to the first answer of the login's shell, in the last boot."""

    @property
    def pid(self) -> int:
        """QEMU's process; 0 before the first boot."""
        return self._process.pid if self._process else 0

    @property
    def runs(self) -> bool:
        """Whether QEMU is there."""
        return self._process is not None and self._process.returncode is None

    async def boot(self, door: Door, deadline_s: float) -> asyncssh.SSHClientConnection:
        """Start QEMU and log in. Raises LoopbackFailed with what went wrong; QEMU is ended then."""
        began_s = time.monotonic()
        async with self._started():
            await self._says(LISTENS, began_s + deadline_s)
            connection = await self._log_in(door, began_s + deadline_s)
            async with asyncio.timeout(_LOGIN_TRY_S):
                await connection.run("true", check=True)
        self.login_s = time.monotonic() - began_s
        return connection

    async def make_flash(self, deadline_s: float) -> None:
        """Start QEMU, wait until it says that the flash is made, and end it. Raises LoopbackFailed."""
        async with self._started():
            await self._says(MADE, time.monotonic() + deadline_s)
        await self.cut()

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[None]:
        """QEMU runs; where what is done with it fails, it is ended."""
        self._console.booting()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        try:
            yield
        except BaseException:
            await self.cut()
            raise

    async def _says(self, line: str, until_s: float) -> None:
        """Wait for a line of our boot scripts."""
        while line not in self._console.said:
            self._must_live()
            if time.monotonic() >= until_s:
                raise LoopbackFailed(f"the emulated board is not up in time: it does not say {line!r}", self._name)
            await asyncio.sleep(_PAUSE_S)

    async def _log_in(self, door: Door, until_s: float) -> asyncssh.SSHClientConnection:
        while True:
            self._must_live()
            try:
                return await door.open()
            except (OSError, asyncssh.Error, TimeoutError) as error:
                if time.monotonic() >= until_s:
                    problem = f"its SSH server lets nobody in: {error or type(error).__name__}"
                    raise LoopbackFailed(f"the emulated board is not up in time: {problem}", self._name) from error
            await asyncio.sleep(_PAUSE_S)

    def _must_live(self) -> None:
        if self._console.panic:
            raise LoopbackFailed(f"the emulated kernel ended: {self._console.panic}", self._name)
        if not self.runs:
            raise LoopbackFailed("QEMU ended before the board was up", self._name)

    async def ended(self) -> None:
        """Wait until QEMU has ended."""
        if self._process is not None:
            await self._process.wait()

    async def cut(self) -> None:
        """As if the power went: QEMU is killed, with all that it had not written."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        if self._reader is not None:
            with suppress(asyncio.CancelledError):
                await self._reader

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # PIPE, above
        while data := await process.stdout.read(_READ_BYTES):
            self._console.feed(data)


def _die_with_parent() -> None:
    """QEMU must not outlive the daemon, however that ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
