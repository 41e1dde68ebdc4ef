"""`boards`: the catalogue, as a list and one by one."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.wording import PROGRAM
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
        ("login", f"{found.user}, port {found.port}" + ("" if found.sftp else ", no SFTP")),
        ("init", found.init),
        ("prefix", found.prefix),
        ("limits", " ".join(f"{name}={value}" for name, value in found.limits.environment().items())),
        ("tags", " ".join(found.tags)),
        *[("note", note) for note in found.notes],
        *[("source", source) for source in found.sources],
    ]
    Screen().pairs(found.name, rows)
    return 0


def ram(board: Board) -> str:
    """The RAM, with what Linux sees of it where that is less."""
    whole = f"{board.ram_kib // 1024} MiB"
    return f"{whole} ({board.visible_ram_kib // 1024} visible)" if board.visible_ram_kib else whole


def document(board: Board) -> dict[str, object]:
    """One board as JSON (docs/json.md)."""
    return asdict(board) | {"target": str(board.target), "limits": board.limits.environment()}


def collection() -> Collection:
    """`boards` and its commands."""
    return Collection("boards", listing, show)
