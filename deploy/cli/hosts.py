"""`hosts.add|list|forget|forget-key`: which host stands behind a board's name, and whose key is trusted."""

from __future__ import annotations

import json as json_format

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from deploy.cli.ending import command
from deploy.cli.options import BOARD, help_for
from deploy.cli.wording import PROGRAM
from deploy.errors import UsageError
from deploy.model.host import Host, parse_host


def host_of(text: str) -> Host:
    """The host in `text`. Raises UsageError."""
    try:
        return parse_host(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


@task(name="add", help=help_for(board=BOARD, host="user@address or user@address:port"), auto_shortflags=False)
@command
def add(context: Context, board: str, host: str) -> int:
    """Remember a host for a board, so that --host can be left out.

    Example: invoke hosts.add --board licheerv --host root@192.0.2.7
    """
    from deploy import catalogue, remembered
    from deploy.report.console import Screen

    found = catalogue.board(board)
    name = found.name
    if found.connection == "loopback":
        raise UsageError(f"{name} runs on this machine and takes no --host: nothing would ever use it")
    remembered.add(name, host_of(host))
    Screen().say(f"{name} is {host} from now on")
    return 0


@task(name="list", default=True, help=help_for("json"), auto_shortflags=False)
@command
def listing(context: Context, json: bool = False) -> int:
    """List the hosts that are remembered."""
    from deploy import remembered
    from deploy.report.console import Screen

    known = remembered.hosts()
    if json:
        print(json_format.dumps({"hosts": {board: str(host) for board, host in known.items()}}, indent=2))
    elif known:
        Screen().table("", ("board", "host"), [(board, str(host)) for board, host in known.items()])
    else:
        Screen().say(f"No host is remembered yet: {PROGRAM} hosts.add --board licheerv --host root@192.0.2.7")
    return 0


@task(
    name="forget",
    help=help_for(board="the board whose host is forgotten", host="the host whose key is forgotten"),
    auto_shortflags=False,
)
@command
def forget(context: Context, board: str = "", host: str = "") -> int:
    """Forget the host of a board; or, with --host, a host's key after the board was reflashed, as forget-key does."""
    from deploy import remembered
    from deploy.report.console import Screen

    if bool(board) == bool(host):
        raise UsageError("forget what? --board NAME forgets its host, --host ADDRESS the key of a host")
    if host:
        return _forget_key(host)
    Screen().say(f"{board} was {remembered.forget(board)}")
    return 0


@task(name="forget-key", help=help_for(host="the host whose key is forgotten"), auto_shortflags=False)
@command
def forget_key(context: Context, host: str) -> int:
    """Forget a host's key, after the board was reflashed. The next deployment asks for the new one."""
    return _forget_key(host)


def _forget_key(host: str) -> int:
    from deploy.report.console import Screen
    from deploy.transport import host_keys

    gone = host_keys.forget(host_of(host))
    if not gone:
        raise UsageError(
            f"no key of {host} is remembered in {host_keys.own_file()} (your ~/.ssh/known_hosts is never changed)"
        )
    Screen().say(f"{gone} keys of {host} forgotten" if gone != 1 else f"the key of {host} is forgotten")
    return 0


def collection() -> Collection:
    """`hosts` and its commands."""
    return Collection("hosts", add, listing, forget, forget_key)
