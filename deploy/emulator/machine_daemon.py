"""Knows how an emulated board serves: QEMU as its child, a Bot API stand-in that the guest reaches, a control port.

Run as a process of its own by `emulated.py`, which also ends it. Its arguments: the board's name and its folder, in
which settings.json says the rest. The guest reaches the stand-in by a port that leads back over an SSH connection of
ours, since it has no other way out.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.emulator import flash, qemu
from deploy.emulator.boot_files import BootFiles
from deploy.emulator.console import Console, last_lines
from deploy.emulator.control import Control
from deploy.emulator.guest import Door, Guest
from deploy.emulator.keys import for_asyncssh, private_pem, public_line
from deploy.emulator.link import Link
from deploy.emulator.machine_settings import Settings
from deploy.emulator.machines import Machine, machine_called
from deploy.emulator.private_files import appending, create
from deploy.emulator.serving import free_port, say_up
from deploy.emulator.switches import Switches
from deploy.emulator.user_lands import user_land_called
from deploy.errors import LoopbackFailed
from deploy.model.secret import Secret
from deploy.telegram.bot_api import BotApi
from deploy.telegram.certificate import make_certificate
from deploy.telegram.operations import Operations

BOOT_S = 300.0
"""How long a boot may take; 4 to 20 s are usual on an idle machine, and ten times as much on a busy one. A kernel that
panics and a QEMU that ends are seen at once."""

_PORT_TRIES = 5
_RECONNECT_PAUSE_S = 0.5
_NO_WAY = (OSError, asyncssh.Error, asyncssh.ChannelListenError)  # the last is no asyncssh.Error


class Served:
    """One emulated board, from its keys to its end."""

    def __init__(self, name: str, folder: Path, settings: Settings) -> None:
        self._name = name
        self._folder = folder
        self._settings = settings
        self._machine: Machine = machine_called(settings.machine)
        self._land = user_land_called(settings.user_land)
        self._switches = Switches.read(settings.switches or {})
        self._console = Console(folder / "console.log", self._progress)
        self._user_key = Ed25519PrivateKey.generate()
        self._host_key = Ed25519PrivateKey.generate()
        self._token = Secret((folder / "token").read_bytes())
        self._api = BotApi(self._token, make_certificate())
        self._cutting = asyncio.Lock()
        self._boots = 0
        self._up = asyncio.Event()
        self._ssh_port = 0

    async def serve(self) -> None:
        """Serve until SIGTERM, or until the machine powers itself off."""
        create(self._folder / "id_ed25519", private_pem(self._user_key))
        self._files = BootFiles(self._folder, Path(self._settings.image))
        await self._api.start()
        create(self._folder / "ca.pem", self._api.ca_pem)
        control = Control(_WithPower(Operations(self._api), self), self._secret())
        control_port = await control.start()
        ended, loop, booting = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()
        assert booting is not None  # we are one
        loop.add_signal_handler(signal.SIGTERM, booting.cancel)
        guest, link, ssh_port = await self._first_boot()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        try:
            await self._say_up(guest, ssh_port, control_port)
            machine = asyncio.create_task(self._keep(guest))
            stopped = asyncio.create_task(ended.wait())
            await asyncio.wait((machine, stopped), return_when=asyncio.FIRST_COMPLETED)
            for task in (machine, stopped):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        finally:
            await guest.cut()
            if link is not None:
                await link.stop()
            await control.stop()
            await self._api.stop()

    async def power_cut(self) -> int:
        """Kill the machine as it stands; `_keep` boots it again. How many boots there were so far."""
        async with self._cutting:
            self._up.clear()
            await self._guest.cut()
        return self._boots

    def boots(self) -> dict[str, Any]:
        """How many boots there were, whether the last one is through, and how long it took to the login."""
        return {"boots": self._boots, "up": self._up.is_set(), "login_s": self._guest.login_s}

    async def _first_boot(self) -> tuple[Guest, Link | None, int]:
        path = self._folder / "flash.img"
        if self._switches.ordinary_flash:
            await flash.provide(path, self._settings.disk_kib, Path(self._settings.image), self._make_flash)
        else:
            flash.blank(path, self._settings.disk_kib)
            await self._make_flash(path)
        for left in reversed(range(_PORT_TRIES)):
            port, link = free_port(), None
            self._guest = Guest(self._command(path, port, self._memory_kib()), self._console, self._name)
            self._ssh_port = port
            try:
                self._progress(f"starting {self._machine.title}")
                await self._boot()
                break
            except LoopbackFailed:
                # Another program may have taken the port between our look and QEMU's; then QEMU ends at once.
                if not left or "host forwarding rule" not in last_lines(self._folder / "console.log", 20):
                    raise
        if self._settings.latency_s or self._settings.bandwidth_bits:
            link = Link(port, latency_s=self._settings.latency_s, bits_per_s=self._settings.bandwidth_bits)
            return self._guest, link, await link.start()
        return self._guest, None, port

    async def _make_flash(self, path: Path) -> None:
        once = ", once" if self._switches.ordinary_flash else ""
        self._progress(f"making a flash of {self._settings.disk_kib // 1024} MiB{once}")
        self._write_initrd(make_only=True)
        most_kib = self._machine.most_kib or self._land.making_kib
        command = self._command(path, free_port(), self._machine.memory_kib(min(self._land.making_kib, most_kib)))
        await Guest(command, self._console, self._name).make_flash(BOOT_S)

    async def _boot(self) -> None:
        self._write_initrd(make_only=False)
        door = Door(self._ssh_port, for_asyncssh(self._user_key), for_asyncssh(self._host_key))
        self._connection = await self._guest.boot(door, BOOT_S)
        self._door = door
        self._boots += 1
        await self._lead_back()
        self._up.set()

    def _write_initrd(self, *, make_only: bool) -> None:
        self._files.end_with(
            qemu.settings_archive(
                self._name,
                public_line(self._user_key),
                qemu.dropbear_host_key(
                    self._host_key.private_bytes_raw(), self._host_key.public_key().public_bytes_raw()
                ),
                self._switches.text(int(time.time()), make_only=make_only),
            ),
            Path(self._settings.image) / "system" if make_only else None,
        )

    async def _lead_back(self) -> None:
        """The guest's way to the Bot API stand-in, at the port that it has here too."""
        await self._connection.forward_remote_port("127.0.0.1", self._api.port, "127.0.0.1", self._api.port)

    async def _keep(self, guest: Guest) -> None:
        """Keep the way back open; boot again after a power cut. Returns when the machine has powered itself off."""
        while True:
            closed = asyncio.create_task(self._connection.wait_closed())
            gone = asyncio.create_task(guest.ended())
            await asyncio.wait((closed, gone), return_when=asyncio.FIRST_COMPLETED)
            closed.cancel()
            if guest.runs:
                gone.cancel()
                await self._reconnect(guest)
            elif not self._up.is_set():
                async with self._cutting:
                    await self._boot()
            else:
                logging.info("the machine has powered itself off")
                return

    async def _reconnect(self, guest: Guest) -> None:
        while guest.runs:
            with suppress(*_NO_WAY):
                self._connection = await self._door.open()
                try:
                    await self._lead_back()
                    return
                except BaseException:
                    self._connection.abort()  # or each try would leave one open, two a second
                    raise
            await asyncio.sleep(_RECONNECT_PAUSE_S)

    async def _say_up(self, guest: Guest, port: int, control_port: int) -> None:
        asked = await self._connection.run("uname -r; sed -n 's/^MemTotal: *//p' /proc/meminfo")
        release, seen = (*str(asked.stdout).splitlines(), "", "")[:2]
        say_up(
            self._name,
            self._folder,
            host_key=public_line(self._host_key),
            port=port,
            user="root",
            bot_api_port=self._api.port,
            control_port=control_port,
            health_port=self._settings.health_port,
            sftp=False,
            machine=self._machine.title,
            facts={
                "kernel": f"Linux {release}",
                "user land": self._land.title,
                "memory that Linux sees": seen,
                "flash": f"{self._settings.disk_kib // 1024} MiB",
                "time to login": f"{guest.login_s:.1f} s",
                "QEMU": f"PID {guest.pid}, {self._memory_kib() // 1024} MiB for the machine",
            },
        )

    def _command(self, flash_file: Path, port: int, memory_kib: int) -> list[str]:
        return qemu.arguments(
            self._machine,
            qemu.program_of(self._machine),
            kernel=self._files.kernel,
            initrd=self._files.initrd,
            flash=flash_file,
            memory_kib=memory_kib,
            ssh_port=port,
        )

    def _memory_kib(self) -> int:
        return self._machine.memory_kib(self._settings.memory_kib)

    def _secret(self) -> str:
        secret = secrets.token_hex(32)
        create(self._folder / "control", secret.encode())
        return secret

    def _progress(self, line: str) -> None:
        with appending(self._folder / "progress") as file:
            file.write(line.encode() + b"\n")


class _WithPower:
    """What can be asked of an emulated board: the stand-in's operations, and the machine's power."""

    def __init__(self, operations: Operations, board: Served) -> None:
        self._operations = operations
        self._board = board

    def __contains__(self, name: str) -> bool:
        return name in ("power_cut", "boots") or name in self._operations

    async def answer(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """As Operations.answer."""
        if name == "power_cut":
            return {"boots": await self._board.power_cut()}
        if name == "boots":
            return self._board.boots()
        return await self._operations.answer(name, arguments)


def main() -> None:
    """Serve; whoever waits for us sees our end, and our log."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # a terminal's signals; QEMU is to ignore them too
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    try:
        asyncio.run(Served(name, folder, Settings.read(folder)).serve())
    except LoopbackFailed as error:
        sys.exit(error.problem)
    except asyncio.CancelledError:
        sys.exit(f"the emulated board {name} was ended while it booted")
    except _NO_WAY as error:
        sys.exit(f"the emulated board {name} ended: {error or type(error).__name__}")


if __name__ == "__main__":
    main()
