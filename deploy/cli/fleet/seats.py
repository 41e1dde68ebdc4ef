"""Knows how a member of a fleet becomes a board and an open connection; nothing is asked of whoever sits here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from deploy import catalogue
from deploy.cli import probing, reaching
from deploy.cli.fleet.order import Order
from deploy.cli.probing import NOT_ASKED_YET
from deploy.cli.reaching import Place
from deploy.errors import UsageError
from deploy.model.board import Board
from deploy.model.fleet import Member
from deploy.once import Once

LOGINS_AT_ONCE = 64
"""A login is work from its beginning to its end, for this machine and for a small host. Were all of `--at-once` at it
together, each would take so long that hosts which are well are taken for dead (10 s without a word). One that is dead
holds a place no longer than that."""

_LOGINS = threading.BoundedSemaphore(LOGINS_AT_ONCE)

_NONE: Mapping[str, Board] = {}

_BOARDS: Once[Board] = Once()
"""A catalogue does not change while a command runs, and a file of it takes longer to read than a host to answer."""


def place_of(member: Member, boards: Mapping[str, Board] = _NONE) -> Place:
    """Where the member is, without touching a network; its board may be NOT_ASKED_YET. Raises UsageError's leaves.

    `boards` are those that are known already, by how members name them.
    """
    if member.board == "local":
        raise UsageError("the board `local` is this machine, which no inventory can name: give its host another board")
    board = boards.get(member.board) or (_board(member.board) if member.board else NOT_ASKED_YET)
    return Place(board, replace(member.host, host_keys=member.host_keys))


@contextmanager
def seated(order: Order, member: Member) -> Iterator[Place]:
    """The member, connected; asked which board it is where the inventory does not say. Raises as connecting does."""
    where = place_of(member, order.boards)
    with _LOGINS:
        transport = reaching.connect(
            where,
            accept_new_host_key=bool(member.settings.get("accept_new_host_key")),
            identity=str(member.settings.get("identity", "")),
        )
    try:
        if member.board:
            yield replace(where, opened=transport)
        else:
            found = probing.recognised(probing.ask(transport), transport.host)
            yield replace(where, board=found.board, opened=transport, why=found.why)
    finally:
        transport.close()


def _board(name: str) -> Board:
    return _BOARDS.get(name, lambda: catalogue.board(name))
