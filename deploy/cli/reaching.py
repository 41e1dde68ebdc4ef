"""Knows how --board and --host become an open connection; which keys and addresses those are is the transport's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.board_shell.framing import Framing
from deploy.board_shell.observe import locate_script, parse_location
from deploy.cli import options
from deploy.cli.hosts import host_of
from deploy.cli.options import existing_file
from deploy.cli.wording import PROGRAM
from deploy.emulator.loopback import LoopbackBoard
from deploy.errors import CommandFailed, NoHost, UsageError
from deploy.model.board import Board
from deploy.model.host import Host
from deploy.model.layout import Layout
from deploy.transport.protocol import Transport


@dataclass(frozen=True, slots=True)
class Place:
    """A board and the host that is one; `loopback` is set for the board that runs on the controller."""

    board: Board
    host: Host
    loopback: LoopbackBoard | None = None


def choose(board_name: str, host_text: str) -> Place:
    """The board and host that the flags name, without touching a network; the loopback board has to be up.

    Raises UnknownName, BadFile, NoHost or UsageError.
    """
    from deploy.emulator import loopback

    board = board_called(board_name)
    if board.connection == "loopback":
        _refuse_host(board, host_text)
        up = loopback.status(board.name)
        if up is None:
            raise UsageError(
                f"the board {board.name} is not up; bring it up with: {PROGRAM} deploy --board {board.name}"
            )
        return Place(board, up.host, up)
    return Place(board, _host(board, host_text))


@contextmanager
def seat(board_name: str, host_text: str, *, keep: bool, note: Callable[[str], None]) -> Iterator[Place]:
    """As `choose`, but a loopback board that is down is brought up; and taken down again at the end unless `keep`."""
    from deploy.emulator import loopback

    board = board_called(board_name)
    if board.connection != "loopback":
        yield Place(board, _host(board, host_text))
        return
    _refuse_host(board, host_text)
    was_up = loopback.status(board.name) is not None
    if not was_up:
        note("Bringing up the loopback board: an SSH server and a Bot API stand-in on 127.0.0.1")
    up = loopback.up(board.name)
    try:
        yield Place(board, up.host, up)
    finally:
        if not (keep or was_up):
            loopback.down(board.name)


def board_called(name: str) -> Board:
    """The board that --board names. Raises UsageError's leaves."""
    from deploy import catalogue

    if not name:
        raise UsageError("which board? name one with --board, such as --board local")
    return catalogue.board(name)


def _refuse_host(board: Board, host_text: str) -> None:
    if host_text:
        raise UsageError(f"{board.name} runs on this machine and takes no --host")


def _host(board: Board, host_text: str) -> Host:
    from deploy import remembered

    host = host_of(host_text) if host_text else remembered.hosts().get(board.name)
    if host is None:
        raise NoHost(board.name)
    return host


def connect(place: Place, *, accept_new_host_key: bool = False, identity: str = "") -> Transport:
    """Open the one connection. Raises the leaves of HostError."""
    from deploy.transport import ssh

    key: Path | None = existing_file(identity, "identity") if identity else None
    return ssh.connect(
        place.host,
        board_user=place.board.user,
        board_port=place.board.port,
        accept_new_host_key=accept_new_host_key,
        identity=key,
    )


def installed_layout(transport: Transport, place: Place, prefix: str = "") -> Layout:
    """Where the gateway lies on this host. Raises UsageError where none is installed."""
    prefix = options.prefix(prefix)
    framing = Framing.new()
    completed = transport.run(locate_script(prefix or place.board.prefix, framing))
    if completed.exit_status != 0:
        raise CommandFailed("the board's shell did not answer", transport.host, exit_status=completed.exit_status)
    found = parse_location(framing, completed.stdout)
    if found is None:
        raise UsageError(
            f"no gateway is installed on {transport.host} ({PROGRAM} deploy --board {place.board.name} first)"
        )
    return found
