"""`emulate.up|list|down`: boards that run on this machine. Today that is the loopback board."""

from __future__ import annotations

import json as json_format

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from deploy import deployments
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.wording import PROGRAM
from deploy.emulator import loopback
from deploy.errors import UsageError


def _loopback_name(board: str) -> str:
    from deploy import catalogue

    found = catalogue.board(board)
    if found.connection != "loopback":
        raise UsageError(
            f'{found.name} can\'t be emulated yet: only boards with connection = "loopback" can, such as local'
        )
    return found.name


@task(help=help_for("board", "json", sftp="leave the SFTP subsystem out, as Dropbear does"), auto_shortflags=False)
@command
def up(context: Context, board: str = "local", sftp: bool = True, json: bool = False) -> int:
    """Bring a loopback board up: a real SSH server and a Bot API stand-in on 127.0.0.1. Twice is fine."""
    from deploy.report.console import Screen

    running = loopback.up(_loopback_name(board), sftp=sftp)
    if json:
        print(json_format.dumps(document(running), indent=2))
        return 0
    screen = Screen()
    screen.pairs(
        f"{running.name} is up", [(name.replace("_", " "), str(value)) for name, value in document(running).items()]
    )
    screen.say(
        f"Log in by hand: ssh -p {running.port} -i {running.key_file} -o UserKnownHostsFile={running.known_hosts_file} "
        f"{running.user}@{running.address} uname -a"
    )
    return 0


@task(name="list", default=True, help=help_for("json"), auto_shortflags=False)
@command
def listing(context: Context, json: bool = False) -> int:
    """List the boards that are up on this machine."""
    from deploy.report.console import Screen

    boards = loopback.listing()
    if json:
        print(json_format.dumps({"boards": [document(each) for each in boards]}, indent=2))
    elif boards:
        rows = [(each.name, str(each.host), each.base_url, str(each.home)) for each in boards]
        Screen().table("", ("board", "SSH", "Bot API", "home"), rows)
    else:
        Screen().say(f"No board is up: {PROGRAM} emulate.up --board local")
    return 0


@task(help=help_for("board"), auto_shortflags=False)
@command
def down(context: Context, board: str = "local") -> int:
    """Take a loopback board down; its processes and files are gone then."""
    from deploy.report.console import Screen

    name = _loopback_name(board)
    was_up = loopback.down(name)
    deployments.forget(name)
    Screen().say(f"{name} is down; no process and no file of it is left" if was_up else f"{name} was not up")
    return 0


def document(board: loopback.LoopbackBoard) -> dict[str, object]:
    """One running board as JSON (docs/json.md)."""
    return {
        "board": board.name,
        "host": str(board.host),
        "key_file": str(board.key_file),
        "known_hosts_file": str(board.known_hosts_file),
        "home": str(board.home),
        "bot_api": board.base_url,
        "ca_file": str(board.ca_file),
        "health_port": board.health_port,
    }


def collection() -> Collection:
    """`emulate` and its commands."""
    return Collection("emulate", up, listing, down)
