"""Knows the loopback board from the controller's side; `daemon.py` serves it, `keeper.py` keeps it."""

from __future__ import annotations

from deploy.emulator.keeper import Keeper
from deploy.emulator.kept import KeptBoard
from deploy.errors import UsageError

KEEPER = Keeper(
    "loopback", "the loopback board", mark="SLIMDEPLOY_LOOPBACK", daemon="deploy.emulator.daemon", up_s=30.0
)


def up(name: str, *, sftp: bool | None = None) -> KeptBoard:
    """The board, brought up where it is not. `sftp` None takes it as it is, or with SFTP.

    Raises UsageError where it is up and differs in SFTP, LoopbackFailed with the daemon's log, Unsupported off Linux.
    """
    board, was_up = KEEPER.up(name, {"sftp": sftp is not False})
    if was_up and sftp is not None and board.sftp != sftp:
        has = "with" if board.sftp else "without"
        raise UsageError(f"{name} is up already, {has} SFTP; take it down first (emulate.down --board {name})")
    return board


def status(name: str) -> KeptBoard | None:
    """The board where it is up, else None; what a killed daemon left, files and processes, is cleared away."""
    return KEEPER.status(name)


def listing() -> list[KeptBoard]:
    """The loopback boards that are up, by name."""
    return KEEPER.listing()


def down(name: str) -> bool:
    """End the daemon and all that was started through it, and remove its folder. False where nothing was there."""
    return KEEPER.down(name)
