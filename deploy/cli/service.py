"""`status|logs|start|stop|restart|uninstall`: the gateway that is installed on a host."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from contextlib import closing
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy import deployments
from deploy.board_shell.framing import Framing
from deploy.board_shell.health import parse_health
from deploy.board_shell.lock import Lock
from deploy.board_shell.observe import Location, observe_script, parse_observation
from deploy.cli import reaching
from deploy.cli.ending import command
from deploy.cli.options import count, help_for
from deploy.cli.reaching import Place
from deploy.cli.wording import PROGRAM
from deploy.errors import BadAnswer
from deploy.model.layout import Layout
from deploy.service.detached import Detached
from deploy.service.face import ServiceManager
from deploy.service.managers import NAMES, manager_called
from deploy.steps.asking import failed, must, refuse_where_locked
from deploy.steps.start import parse_pid_file
from deploy.transport.protocol import Completed, Script, Transport

NOT_RUNNING = 3
"""What `status` ends with when nothing runs, as LSB's init scripts do."""

ACTION_HELP = help_for("board", "host", "emulate", "accept_new_host_key", "identity", "prefix")


@task(help=ACTION_HELP | help_for("json"), auto_shortflags=False)
@command
def status(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    prefix: str = "",
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Say whether the gateway runs, which release it is, and what it says of itself. Exit code 3 when none runs."""
    from deploy.report.console import Screen

    place = reaching.choose(board, host, emulate=emulate)
    with closing(reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)) as transport:
        found = reaching.installed(transport, place, prefix)
        layout = found.layout
        record = deployments.recall(place.board.name, str(place.host), place.machine)
        rows = status_rows(
            transport, layout, found.manager or Detached.name, ask_it=record is None or record.command is None
        )
    if json:
        print(json_format.dumps({"board": place.board.name, "host": transport.host, **rows}, indent=2))
    else:
        shown = [(name.replace("_", " "), str(value)) for name, value in rows.items()]
        Screen().pairs(f"{place.board.name} at {transport.host}", shown)
    return 0 if rows["running"] else NOT_RUNNING


def status_rows(transport: Transport, layout: Layout, manager: str, *, ask_it: bool = True) -> dict[str, object]:
    """What `status` tells of the gateway under `layout`; one round trip. `ask_it` where it answers for itself."""
    framing = Framing.new()
    answer = must(transport, observe_script(layout, framing, ask_it=ask_it))
    running, said = parse_observation(framing, answer.stdout)
    rows: dict[str, object] = {"running": running is not None, "prefix": layout.prefix}
    if running:
        rows |= {
            "pid": running.process.pid,
            "executable": running.exe_path,
            "sha256": running.exe_sha256,
            "limits": " ".join(f"{name}={value}" for name, value in sorted(running.limits.items())),
            "hard_limit_bytes": running.hard_bytes,
            "user": running.user,
            "kept_by": manager,
            "restarted_when_it_ends": running.supervised,
        }
    if not ask_it:
        return rows
    try:
        health = parse_health(said)
    except BadAnswer:
        return rows | {"health": "no answer"}
    return rows | {
        "version": health.version,
        "telegram": f"{health.telegram_state} {health.telegram_detail}".strip(),
        "tls": health.tls,
        "uptime_s": health.uptime_s,
        "received": health.inbound,
        "sent": health.outbound,
        "errors": health.errors,
    }


@task(help=ACTION_HELP | help_for(lines="how many"), auto_shortflags=False)
@command
def logs(
    context: Context,
    board: str = "",
    host: str = "",
    emulate: bool = False,
    prefix: str = "",
    lines: str = "40",
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Show the end of the gateway's log."""
    from deploy.model.display import clean
    from deploy.report.console import Screen

    wanted = count(lines, "lines", most=100_000)
    place = reaching.choose(board, host, emulate=emulate)
    with closing(reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)) as transport:
        manager = manager_of(reaching.installed(transport, place, prefix), place)
        text = clean(must(transport, manager.log(wanted)).stdout)
    Screen().say(text.rstrip("\n") if text.strip() else "the log is empty")
    return 0


def manager_of(found: Location, place: Place) -> ServiceManager:
    """The manager that keeps the gateway. The limits in force stand in its texts, which none of its scripts writes."""
    name = found.manager if found.manager in NAMES else Detached.name
    return manager_called(name, found.layout, place.board.limits, user=found.user)


def _action(
    name: str, doc: str, script: Callable[[ServiceManager], Script], done: Callable[[Place, Completed], str]
) -> Any:
    """A command that runs one of the service's scripts where the gateway is installed, and says what `done` tells."""

    def action(
        context: Context,
        board: str = "",
        host: str = "",
        emulate: bool = False,
        prefix: str = "",
        accept_new_host_key: bool = False,
        identity: str = "",
    ) -> int:
        from deploy.report.console import Screen

        place = reaching.choose(board, host, emulate=emulate)
        with closing(reaching.connect(place, accept_new_host_key=accept_new_host_key, identity=identity)) as transport:
            manager = manager_of(reaching.installed(transport, place, prefix), place)
            wanted = script(manager)
            completed = transport.run(Lock.mine().around(manager.layout, wanted))
            refuse_where_locked(completed, transport.host)
            if completed.exit_status != 0:
                raise failed(wanted, completed, transport.host)
        Screen().say(done(place, completed))
        return 0

    action.__name__, action.__doc__ = name, doc
    return task(help=ACTION_HELP, auto_shortflags=False)(command(action))


def _runs(place: Place, completed: Completed) -> str:
    return f"process {parse_pid_file(completed.stdout).pid} runs on {place.host}"


def _stopped(place: Place, completed: Completed) -> str:
    again = f"{PROGRAM} start {place.flags}"
    return f"nothing runs on {place.host} now; start it again with: {again}"


def _gone(place: Place, completed: Completed) -> str:
    deployments.forget(place.board.name, str(place.host), place.machine)
    return f"the gateway is gone from {place.host}, with its config and log"


start = _action("start", "Start the gateway that is installed, where it is not running.", ServiceManager.start, _runs)
stop = _action("stop", "Stop the gateway; it stays installed.", ServiceManager.stop, _stopped)
restart = _action("restart", "Stop the gateway and start it again.", ServiceManager.restart, _runs)
uninstall = _action(
    "uninstall", "Stop the gateway and remove it, with its config and log.", ServiceManager.uninstall, _gone
)
