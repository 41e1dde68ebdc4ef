"""`boards`: the catalogue, as a list and one by one; and which board of it a host is."""

from __future__ import annotations

import json as json_format
import time
from contextlib import closing
from dataclasses import asdict, replace

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.wording import PROGRAM
from deploy.emulator.machines import stand_for
from deploy.model.board import Board


@task(name="list", default=True, help=help_for("json"), auto_shortflags=False)
@command
def listing(context: Context, json: bool = False) -> int:
    """List the boards that slimdeploy knows, yours among them."""
    from deploy import catalogue
    from deploy.report.console import Screen

    known = catalogue.boards()
    if json:
        print(json_format.dumps({"boards": [document(board) for board in known]}, indent=2))
        return 0
    screen = Screen()
    rows = [(board.name, board.title, str(board.target), ram(board), board.init) for board in known]
    screen.table("", ("board", "what it is", "target", "RAM", "init"), rows)
    screen.say(
        f"Deploy to one: {PROGRAM} deploy --board NAME --host user@address. "
        f"More of one: {PROGRAM} boards.show --board NAME"
    )
    return 0


@task(help=help_for("board", "json"), auto_shortflags=False)
@command
def show(context: Context, board: str, json: bool = False) -> int:
    """Show everything that is known of one board, with the sources."""
    from deploy import catalogue
    from deploy.report.console import Screen

    found = catalogue.board(board)
    if json:
        print(json_format.dumps(document(found), indent=2))
        return 0
    rows = [
        ("what it is", found.title),
        ("target", str(found.target)),
        ("RAM", ram(found)),
        ("login", login(found)),
        ("init", found.init),
        *[(name, value) for name, value in (("C library", found.libc), ("storage", found.storage)) if value],
        ("prefix", found.prefix),
        ("limits", " ".join(f"{name}={value}" for name, value in found.limits.environment().items())),
        ("tags", " ".join(found.tags)),
        *_emulated(found),
        *[("note", note) for note in found.notes],
        *[("source", source) for source in found.sources],
    ]
    Screen().pairs(found.name, rows)
    return 0


@task(
    help=help_for(
        "host",
        "emulate",
        "json",
        "accept_new_host_key",
        "identity",
        board="a board whose host is remembered, or that is up on this machine: its login is taken, nothing else",
        write="a file to write a board's TOML to, such as boards/mine.toml; its name is the board's",
    ),
    auto_shortflags=False,
)
@command
def probe(
    context: Context,
    host: str = "",
    board: str = "",
    emulate: bool = False,
    write: str = "",
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Ask a host what it is, in one round trip, and name the board; nothing is changed on it.

    The ELF header of its shell tells the architecture and the byte order, its kernel what the processor has; GOARM,
    GOMIPS, GORISCV64 and GOAMD64 follow from that and from nothing else. A host that is no board of the catalogue gets
    a TOML file: look through it, keep it with --write boards/NAME.toml, deploy with --board boards/NAME.toml.

    Examples: invoke boards.probe --host root@192.168.42.1
              invoke boards.probe --host me@pi.local --write boards/mine.toml
              invoke boards.probe --board licheerv --emulate
    """
    from deploy import board_toml, recognising
    from deploy.cli import probing
    from deploy.report import silent
    from deploy.report.probe import probe_document, probe_rows

    path = probing.writable(write) if write else None
    where = probing.Where(board, host, emulate, accept_new_host_key, identity)
    place = where.place()
    with closing(where.connect(place)) as transport:
        probed = probing.ask(transport)
    asked_at_s = time.time()
    found = probing.recognised(probed, str(place.host))
    made = found.board
    if path is not None:
        if found.known:
            made = recognising.as_it_is(made, probed, found.choice, probing.today())
        made = replace(made, name=path.stem)
        probing.write(made, path)
    toml = board_toml.render(made) if path is not None or not found.known else None
    if json:
        written = str(path) if path is not None else None
        document_ = probe_document(probed, found, host=str(place.host), toml=toml, written=written)
        print(json_format.dumps(document_, indent=2))
        return 0
    screen = silent.screen(as_json=False)
    screen.pairs(f"{place.host}, asked in {transport.round_trips} round trip", probe_rows(probed, found, asked_at_s))
    if path is not None:
        screen.say(
            f"Written: {path}, a board called {made.name}. Deploy to it: {PROGRAM} deploy --board {path} --host …"
        )
    elif toml is not None:
        screen.say(f"As a board of its own (--write boards/{made.name}.toml keeps it):\n\n{toml}")
    if path is None and place.kept is None:
        screen.say(f"Deploy to it: {PROGRAM} deploy --host {place.host}")
    return 0


def _emulated(board: Board) -> list[tuple[str, str]]:
    stand = stand_for(board)
    missing = [("not told by that", each) for each in stand.not_covered]
    return [("emulated by", stand.machine or stand.why_none), *missing]


def ram(board: Board) -> str:
    """The RAM, with what Linux sees of it where that is less."""
    whole = f"{board.ram_kib // 1024} MiB"
    return f"{whole} ({board.visible_ram_kib // 1024} visible)" if board.visible_ram_kib else whole


def login(board: Board) -> str:
    """Who logs in and where, and by which SSH server."""
    parts = [board.user, f"port {board.port}", board.address and f"at {board.address}", board.ssh_server]
    return ", ".join(part for part in (*parts, "" if board.sftp else "no SFTP") if part)


def document(board: Board) -> dict[str, object]:
    """One board as JSON (docs/json.md), without where its user keeps token and key: that is nobody else's business."""
    about = {name: value for name, value in asdict(board).items() if not name.endswith(("_command", "_keyring"))}
    own = {"target": str(board.target), "limits": board.limits.environment(), "emulated": asdict(stand_for(board))}
    return about | own


def collection() -> Collection:
    """`boards` and its commands."""
    return Collection("boards", listing, show, probe)
