"""Knows emulated boards from the controller's side: `machine_daemon.py` serves one, `keeper.py` keeps it.

What machine stands for a board is `machines.py`'s, its image `images.py`'s; here they become one start.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.emulator.keeper import Keeper
from deploy.emulator.kept import KeptBoard, ask
from deploy.emulator.watch import Watch
from deploy.errors import LoopbackFailed, Unsupported, UsageError
from deploy.model.board import Board

KEEPER = Keeper(
    "emulated", "the emulated board", mark="SLIMDEPLOY_EMULATED", daemon="deploy.emulator.machine_daemon", up_s=660.0
)

_UNIT = re.compile(r"_(kib|s|bits)$")
_AGAIN_S = 330.0
"""A little more than machine_daemon.BOOT_S; `up_s` is more than two boots, since a new flash takes one."""
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asks of an emulated board; None takes what the board's file says. Sizes in KiB."""

    memory_kib: int | None = None
    disk_kib: int | None = None
    latency_s: float = 0.0
    """One way."""
    bandwidth_bits: float = 0.0
    """A second, in each direction; 0 sets no bound."""
    switches: dict[str, Any] = field(default_factory=dict)
    """Fields of `switches.Switches` that differ from its defaults."""
    user_land: str = ""
    """A name of `user_lands.USER_LANDS`; "" takes BusyBox init, or what is up."""


def up(board: Board, wanted: Wanted | None = None, watch: Watch | None = None) -> KeptBoard:
    """The board's emulated machine, brought up where it is not; its image is made first where there is none.

    Raises UsageError where it is up and was asked for otherwise, or where the machine can't have so much or so little
    memory; Unsupported where there is no machine for it or no QEMU, ImageFailed, LoopbackFailed.
    """
    from deploy.emulator import qemu
    from deploy.emulator.images import image_for
    from deploy.emulator.machines import machine_for
    from deploy.emulator.switches import Switches
    from deploy.emulator.user_lands import BUSYBOX, user_land_called

    running = status(board.name)
    if running is None:
        machine = machine_for(board.target)
        qemu.program_of(machine)
        if wanted is not None and wanted.switches.get("cgroup") == "v1" and not machine.cgroup_v1:
            raise Unsupported(
                f"the kernel of {machine.title} has no memory controller in cgroup v1; mipsle boards' has"
            )
        asked_for = wanted or Wanted()
        land = user_land_called(asked_for.user_land or BUSYBOX.name)
        settings = _settings(board, asked_for) | {"user_land": land.name}
        settings["disk_kib"] = asked_for.disk_kib or land.disk_kib
        machine.refuse_memory(settings["memory_kib"])
        land.refuse(Switches.read(asked_for.switches), settings["memory_kib"], settings["disk_kib"])
        image = image_for(machine, land, watch)
        settings |= {"machine": machine.name, "image": str(image.folder)}
        running, was_up = KEEPER.up(board.name, settings, watch.note if watch else None)
        if not was_up:
            return running
    if wanted is not None:
        usual, has = asdict(Wanted()), KEEPER.settings(board.name)
        asked = {key: value for key, value in asdict(wanted).items() if value != usual[key]}
        if differing := sorted(key for key, value in asked.items() if value != has.get(key)):
            what = ", ".join(_UNIT.sub("", key).replace("_", " ") for key in differing)
            again = f"emulate.down --board {board.name}"
            raise UsageError(f"{board.name} is up already, with another {what}; take it down first ({again})")
    return running


def status(name: str) -> KeptBoard | None:
    """The board where it is up, else None; what a killed daemon left, files and processes, is cleared away."""
    return KEEPER.status(name)


def listing() -> list[KeptBoard]:
    """The emulated boards that are up, by name."""
    return KEEPER.listing()


def down(name: str) -> bool:
    """End QEMU and its daemon, and remove their folder. False where nothing was there."""
    return KEEPER.down(name)


def power_cut(board: KeptBoard) -> float:
    """Kill the machine as it stands and boot it again; seconds from QEMU's start to the login.

    Raises LoopbackFailed where it does not come back.
    """
    boots = int(ask(board, "power_cut", {})["boots"])
    until_s = time.monotonic() + _AGAIN_S
    while time.monotonic() < until_s:
        if status(board.name) is None:
            break
        found = ask(board, "boots", {})
        if int(found["boots"]) > boots and found["up"]:
            return float(found["login_s"])
        time.sleep(_PAUSE_S)
    raise LoopbackFailed("the emulated board does not come back after the power cut", board.name)


def _settings(board: Board, wanted: Wanted) -> dict[str, Any]:
    return {
        "memory_kib": wanted.memory_kib or board.ram_kib,
        "health_port": board.health_port,
        **{key: value for key, value in asdict(wanted).items() if not key.endswith("_kib")},
    }
