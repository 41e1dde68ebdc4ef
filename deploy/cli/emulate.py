"""`emulate.up|list|down|console|power-cut`: boards that run on this machine, the loopback board and emulated ones."""

from __future__ import annotations

import json as json_format

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from deploy import deployments
from deploy.cli import images, matrix, options, reaching
from deploy.cli.ending import command
from deploy.cli.options import count, help_for
from deploy.cli.wording import PROGRAM
from deploy.emulator import emulated, loopback
from deploy.emulator.emulated import Wanted
from deploy.emulator.kept import KeptBoard
from deploy.emulator.switches import NAMES, parse
from deploy.emulator.user_lands import USER_LANDS, user_land_called
from deploy.errors import UsageError
from deploy.model.units import KIB
from deploy.report import silent

_UP_HELP = {
    "sftp": "have an SFTP subsystem; --no-sftp: none, as Dropbear (the loopback board; an emulated one never has it)",
    "memory": "what Linux is to see, such as 64MiB; without it, what the board has",
    "disk": "the size of the flash, such as 32MiB",
    "latency": "how much later each byte arrives, each way, such as 40ms",
    "switches": "how the host differs from the usual, with commas between: " + ", ".join(NAMES),
    "user_land": "what runs on the kernel: " + ", ".join(USER_LANDS),
    "bandwidth": "how fast the link is in each direction, such as 10mbit",
}


@task(help=help_for("board", "json", **_UP_HELP), auto_shortflags=False)
@command
def up(
    context: Context,
    board: str = "local",
    sftp: bool = True,
    memory: str = "",
    disk: str = "",
    latency: str = "",
    bandwidth: str = "",
    switches: str = "",
    user_land: str = "",
    json: bool = False,
) -> int:
    """Bring a board up on this machine. Twice is fine.

    --board local is this machine itself behind an SSH server; any other board is a real Linux kernel of its
    architecture under QEMU. Example: invoke emulate.up --board licheerv --memory 64MiB
    """
    found = reaching.board_called(board)
    wanted = Wanted(
        memory_kib=options.size_bytes(memory, "memory") // KIB if memory else None,
        disk_kib=options.size_bytes(disk, "disk") // KIB if disk else None,
        latency_s=options.seconds(latency, "latency") if latency else 0.0,
        bandwidth_bits=options.bits_per_second(bandwidth, "bandwidth") if bandwidth else 0.0,
        switches=parse(options.words(switches)).differing(),
        user_land=user_land_called(user_land).name if user_land else "",
    )
    screen = silent.screen(as_json=json)
    if found.connection == "loopback":
        if wanted != Wanted():
            raise UsageError(f"{found.name} is this machine: it has the memory, the disk and the link that it has")
        running = loopback.up(found.name, sftp=sftp)
    else:
        running = reaching.bring_up(found, screen, emulate=True, wanted=wanted)
    if json:
        print(json_format.dumps(document(running), indent=2))
        return 0
    rows = [(name.replace("_", " "), str(value)) for name, value in document(running).items() if name != "facts"]
    screen.pairs(f"{running.name} is up", [*rows, *running.facts.items()])
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

    boards = [*loopback.listing(), *emulated.listing()]
    if json:
        print(json_format.dumps({"boards": [document(each) for each in boards]}, indent=2))
    elif boards:
        rows = [(each.name, each.machine or "this machine", str(each.host), each.base_url) for each in boards]
        Screen().table("", ("board", "runs on", "SSH", "Bot API, as the board sees it"), rows)
    else:
        Screen().say(f"No board is up: {PROGRAM} emulate.up --board local, or another board")
    return 0


@task(help=help_for("board"), auto_shortflags=False)
@command
def down(context: Context, board: str = "local") -> int:
    """Take a board down that runs on this machine; its processes and files are gone then."""
    from deploy.report.console import Screen

    found = reaching.board_called(board)
    local = found.connection == "loopback"
    running = loopback.status(found.name) if local else emulated.status(found.name)
    was_up = loopback.down(found.name) if local else emulated.down(found.name)
    if running is not None:
        deployments.forget(found.name, str(running.host), running.machine)
    name = found.name
    Screen().say(f"{name} is down; no process and no file of it is left" if was_up else f"{name} was not up")
    return 0


@task(help=help_for("board", lines="how many"), auto_shortflags=False)
@command
def console(context: Context, board: str = "", lines: str = "40") -> int:
    """Show the end of what an emulated board printed on its serial console."""
    from deploy.emulator.console import last_lines
    from deploy.report.console import Screen

    wanted = count(lines, "lines", most=100_000)
    running = _emulated(board)
    Screen().say(last_lines(running.console_file, wanted) or "it has printed nothing yet")
    return 0


@task(name="power-cut", help=help_for("board"), auto_shortflags=False)
@command
def power_cut(context: Context, board: str = "") -> int:
    """Kill an emulated board as it stands, as if its plug was pulled, and boot it again."""
    screen = silent.screen(as_json=False)
    running = _emulated(board)
    screen.say(f"Cutting the power of {running.name}")
    seconds = emulated.power_cut(running)
    screen.say(
        f"{running.name} is back: {seconds:.1f} s from power to login. Nothing runs on it but what starts at boot."
    )
    return 0


def _emulated(board_name: str) -> KeptBoard:
    board = reaching.board_called(board_name)
    if board.connection == "loopback":
        raise UsageError(f"{board.name} is this machine and no emulated board")
    running = emulated.status(board.name)
    if running is None:
        raise UsageError(f"the emulated board {board.name} is not up: {PROGRAM} emulate.up --board {board.name}")
    return running


def document(board: KeptBoard) -> dict[str, object]:
    """One running board as JSON (docs/json.md)."""
    return {
        "board": board.name,
        "machine": board.machine,
        "host": str(board.host),
        "key_file": str(board.key_file),
        "known_hosts_file": str(board.known_hosts_file),
        "home": "" if board.machine else str(board.home),
        "bot_api": board.base_url,
        "ca_file": str(board.ca_file),
        "health_port": board.health_port,
        "facts": board.facts,
    }


def collection() -> Collection:
    """`emulate` and its commands."""
    return Collection("emulate", up, listing, down, console, power_cut, images.images, matrix.matrix)
