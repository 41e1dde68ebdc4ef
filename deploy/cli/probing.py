"""Knows how a host is asked which board it is, and how a board made for it is kept; for `boards.probe` and `deploy`.

How the answer is read is `board_shell/probe.py`'s, what follows from it `recognising.py`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.board_shell.framing import Framing
from deploy.board_shell.probe import parse_probe, probe_script
from deploy.cli import reaching
from deploy.cli.hosts import host_of
from deploy.cli.reaching import Place
from deploy.errors import HostError, UsageError
from deploy.model.board import Board
from deploy.model.probed import Probed
from deploy.model.secret import Secret
from deploy.model.target import Target
from deploy.recognising import Recognised, recognise
from deploy.report.silent import Shows
from deploy.steps.asking import must
from deploy.transport.protocol import Transport

NOT_ASKED_YET = Board("unknown", "a host that has not been asked yet", Target(""), 0)
"""What stands for the board until the host has said what it is: root, port 22, as most images have it."""


@dataclass(frozen=True, slots=True)
class Where:
    """The flags that name a host and how to log in there."""

    board: str = ""
    host: str = ""
    emulate: bool = False
    accept_new_host_key: bool = False
    identity: str = ""

    @property
    def is_host_alone(self) -> bool:
        """Whether nothing but the host itself can tell which board it is."""
        return bool(self.host) and not self.board and not self.emulate

    def place(self) -> Place:
        """Where to ask, without touching a network. Raises UsageError's leaves."""
        if self.is_host_alone:
            return Place(NOT_ASKED_YET, host_of(self.host))
        if not (self.host or self.board):
            raise UsageError("which host? name one with --host user@address, or a board whose host is remembered")
        return reaching.choose(self.board, self.host, emulate=self.emulate)

    def connect(self, place: Place, password: Secret | None = None) -> Transport:
        """Open the connection to that place, by keys or by a password alone. Raises the leaves of HostError."""
        return reaching.connect(
            place, accept_new_host_key=self.accept_new_host_key, identity=self.identity, password=password
        )


def ask(transport: Transport) -> Probed:
    """What the host says of itself; one round trip. Raises HostError's leaves."""
    framing = Framing.new()
    try:
        return parse_probe(framing, must(transport, probe_script(framing)).stdout)
    except HostError as error:
        error.host = error.host or transport.host
        raise


def recognised(probed: Probed, host: str) -> Recognised:
    """The board that it is, of the bundled and the user's own. Raises BadFile, Refused."""
    from deploy import catalogue

    return recognise(probed, catalogue.boards(), host, today())


def today() -> str:
    """The day here, in UTC: the host's own clock may never have been set."""
    return time.strftime("%Y-%m-%d", time.gmtime())


@contextmanager
def seat(where: Where, *, keep: bool, screen: Shows) -> Iterator[Place]:
    """As `reaching.seat`; but a host that is named without a board is asked which one it is, and stays connected.

    A board that is made for it is kept among the user's own when `keep`, so that later commands find it by its name.
    """
    if not (where.board or where.host or where.emulate):
        raise UsageError("which board? name one with --board, such as --board local; or a host, to be asked what it is")
    if not where.is_host_alone:
        with reaching.seat(where.board, where.host, emulate=where.emulate, keep=keep, screen=screen) as place:
            yield place
        return
    asked = where.place()
    transport = where.connect(asked)
    try:
        found = recognised(ask(transport), transport.host)
        screen.say(f"{asked.host} is taken for {found.board.name}, {found.board.title}: {found.why}")
        for difference in found.differences:
            screen.say(f"  but {difference}")
        if not found.known:
            kept = f"kept as {keep_own(found.board)}" if keep else "kept nowhere: this is a dry run"
            screen.say(f"  a board was made from what it says, {kept}")
        yield replace(asked, board=found.board, opened=transport, why=found.why)
    finally:
        transport.close()


def keep_own(board: Board) -> Path:
    """The board among the user's own, as a TOML file. Raises UsageError."""
    from deploy.folders import config_folder

    path = config_folder() / "boards" / f"{board.name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another deployment has made the same board meanwhile
        _write(board, path)
    return path


def write(board: Board, path: Path) -> None:
    """The board as a TOML file that was not there before. Raises UsageError."""
    try:
        _write(board, path)
    except FileExistsError:
        raise UsageError(f"there is a file {path} already, which is left as it is") from None


def _write(board: Board, path: Path) -> None:
    """Raises FileExistsError, or UsageError where the file can't be written; no part of one stays behind."""
    from deploy import board_toml

    text = board_toml.render(board)
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        raise
    except OSError as error:
        raise UsageError(f"{path} can't be written: {os.strerror(error.errno or 0)}") from None


def writable(text: str) -> Path:
    """The file that --write names, before anything is asked. Raises UsageError where no board can lie there."""
    from deploy import catalogue

    path = Path(text).expanduser()
    if path.suffix != ".toml" or not catalogue.is_name(path.stem):
        raise UsageError(f"--write takes a file such as boards/mine.toml, whose name is the board's, not {text}")
    if not path.parent.is_dir():
        raise UsageError(f"--write: there is no folder {path.parent}")
    if path.exists():
        raise UsageError(f"there is a file {path} already, which is left as it is")
    return path
