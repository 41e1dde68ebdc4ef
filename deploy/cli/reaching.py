"""Knows how --board and --host become an open connection; which keys and addresses those are is the transport's."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.board_shell.framing import Framing
from deploy.board_shell.observe import Location, locate_script, parse_location
from deploy.board_shell.preflight import HOME_PREFIX
from deploy.board_shell.reading_back import ReadsBack
from deploy.cli import options
from deploy.cli.hosts import host_of
from deploy.cli.options import existing_file
from deploy.cli.wording import PROGRAM
from deploy.emulator.emulated import Wanted
from deploy.emulator.keeper import Keeper
from deploy.emulator.kept import KeptBoard
from deploy.errors import CommandFailed, NoHost, UsageError
from deploy.model.board import Board
from deploy.model.host import Host
from deploy.model.secret import Secret
from deploy.model.target import Target
from deploy.report.silent import Shows
from deploy.steps.face import StepRecord
from deploy.transport.protocol import Transport


@dataclass(frozen=True, slots=True)
class Place:
    """A board and the host that is one; `kept` is set for a board that runs on the controller."""

    board: Board
    host: Host
    kept: KeptBoard | None = None
    opened: Transport | None = None
    """The connection over which the host was asked what it is; None where nobody had to."""
    why: str = ""
    """Why it is taken for that board, where the user named none."""

    @property
    def machine(self) -> str:
        """The emulated machine that stands for the board, "" for the board itself."""
        return self.kept.machine if self.kept is not None else ""

    @property
    def circumstances(self) -> dict[str, str]:
        """What a reading says of where it was taken: a figure of an emulated board is never taken for a real one's."""
        emulated = {"emulated machine": self.machine} if self.machine else {}
        board = {"board": self.board.name} if self.board.name else {}
        return {**board, "host": str(self.host), **emulated}

    @property
    def flags(self) -> str:
        """What names this place on the command line."""
        if self.kept is None:
            return f"--board {self.board.name} --host {self.host}"
        return _flags_here(self.board, emulate=bool(self.machine))


def choose(board_name: str, host_text: str, *, emulate: bool = False) -> Place:
    """The board and host that the flags name, without touching a network; a board on this machine has to be up.

    Raises UnknownName, BadFile, NoHost or UsageError.
    """
    board = board_called(board_name)
    if not _is_kept(board, host_text, emulate=emulate):
        return Place(board, _host(board, host_text))
    up = _keeper(emulate=emulate).status(board.name)
    if up is None:
        what = "the emulated board" if emulate else "the board"
        raise UsageError(
            f"{what} {board.name} is not up; bring it up with: {PROGRAM} deploy {_flags_here(board, emulate=emulate)}"
        )
    return Place(board, up.host, up)


def any_host(host_text: str) -> Place:
    """A host whose board nobody named, for what does not depend on it. Raises UsageError."""
    return Place(Board("", "a host whose board was not named", Target(""), 0), host_of(host_text))


@contextmanager
def seat(board_name: str, host_text: str, *, emulate: bool = False, keep: bool, screen: Shows) -> Iterator[Place]:
    """As `choose`, but a board on this machine that is down is brought up; and taken down at the end unless `keep`."""
    board = board_called(board_name)
    if not _is_kept(board, host_text, emulate=emulate):
        yield Place(board, _host(board, host_text))
        return
    was_up = _keeper(emulate=emulate).status(board.name) is not None
    up = bring_up(board, screen, emulate=emulate)
    try:
        yield Place(board, up.host, up)
    finally:
        if not (keep or was_up):
            _keeper(emulate=emulate).down(board.name)


def bring_up(board: Board, screen: Shows, *, emulate: bool, wanted: Wanted | None = None) -> KeptBoard:
    """The board on this machine, brought up where it is not, with progress. Raises what `emulated.up` raises."""
    from deploy.emulator import emulated, loopback, machines

    if not emulate:
        if loopback.status(board.name) is None:
            screen.say("Bringing up the loopback board: an SSH server and a Bot API stand-in on 127.0.0.1")
        return loopback.up(board.name)
    if (up := emulated.status(board.name)) is not None and wanted is None:
        return up
    screen.say(f"Bringing up an emulated {board.name}")
    began_s = time.monotonic()
    with screen.steps() as observer:
        observer.started("Emulate")
        up = emulated.up(board, wanted, observer)
        detail = f"{up.machine}; {up.facts.get('kernel', '')}, which sees {up.facts.get('memory that Linux sees', '')}"
        observer.finished(StepRecord("Emulate", None, detail, time.monotonic() - began_s, 0))
    missing = "; ".join(machines.stand_for(board).not_covered)
    screen.say(f"What this does not tell about a real {board.name}: {missing}.")
    return up


def _flags_here(board: Board, *, emulate: bool) -> str:
    return f"--board {board.name}" + (" --emulate" if emulate else "")


def _is_kept(board: Board, host_text: str, *, emulate: bool) -> bool:
    """Whether the board runs on this machine. Raises UsageError where the flags contradict each other."""
    local = board.connection == "loopback"
    if emulate and local:
        raise UsageError(f"{board.name} is this machine already; --emulate is for boards of another kind")
    if (emulate or local) and host_text:
        raise UsageError(
            "--emulate runs on this machine and takes no --host"
            if emulate
            else f"{board.name} runs on this machine and takes no --host"
        )
    return emulate or local


def _keeper(*, emulate: bool) -> Keeper:
    from deploy.emulator import emulated, loopback

    return emulated.KEEPER if emulate else loopback.KEEPER


def board_called(name: str) -> Board:
    """The board that --board names. Raises UsageError's leaves."""
    from deploy import catalogue

    if not name:
        raise UsageError("which board? name one with --board, such as --board local")
    return catalogue.board(name)


def _host(board: Board, host_text: str) -> Host:
    from deploy import remembered

    host = host_of(host_text) if host_text else remembered.hosts().get(board.name)
    if host is None:
        raise NoHost(board.name)
    return host


def connect(
    place: Place, *, accept_new_host_key: bool = False, identity: str = "", password: Secret | None = None
) -> Transport:
    """Open the one connection, or take the one that is open already; by keys, or by a `password` alone.

    Raises the leaves of HostError.
    """
    if place.opened is not None:
        return place.opened
    from deploy.transport import ssh

    key: Path | None = existing_file(identity, "identity") if identity else None
    opened = ssh.connect(
        place.host,
        board_user=place.board.user,
        board_port=place.board.port,
        accept_new_host_key=accept_new_host_key,
        identity=key,
        password=password,
    )
    return ReadsBack(opened)


def installed(transport: Transport, place: Place, prefix: str = "") -> Location:
    """Where the gateway lies on this host, and who keeps it. Raises UsageError where none is installed."""
    found = located(transport, place, prefix)
    if found is None:
        under, more = (f" under {prefix}", f" --prefix {shlex.quote(prefix)}") if prefix else ("", "")
        first = f"{PROGRAM} deploy {place.flags}{more} first"
        raise UsageError(f"no gateway is installed{under} on {transport.host} ({first})")
    return found


def prefixes(place: Place, prefix: str = "") -> tuple[str, ...]:
    """Where a gateway may lie: under the `prefix` that the user named and nowhere else, or where a deployment puts it.

    Raises UsageError.
    """
    return (options.prefix(prefix),) if prefix else (place.board.prefix, HOME_PREFIX)


def located(transport: Transport, place: Place, prefix: str = "") -> Location | None:
    """As `installed`, but None where none is."""
    framing = Framing.new()
    completed = transport.run(locate_script(prefixes(place, prefix), framing))
    if completed.exit_status != 0:
        raise CommandFailed("the board's shell did not answer", transport.host, exit_status=completed.exit_status)
    return parse_location(framing, completed.stdout)
