"""Knows how a dry run is shown: every script and command as it would run, secrets left out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any, Protocol

from deploy.pipeline import Rehearsed
from deploy.steps.face import LocalCommand
from deploy.transport.protocol import Script


class Says(Protocol):
    """What is needed of a screen here."""

    def say(self, text: str = "", style: str = "") -> None:
        """Print lines."""
        ...


def show_rehearsal(rows: Sequence[Rehearsed], screen: Says, *, as_json: bool) -> None:
    """Print what a deployment would do; as one JSON document where `as_json`."""
    if as_json:
        steps = [
            {"title": row.title, "skipped": row.skipped, "commands": [command_text(each) for each in row.commands]}
            for row in rows
        ]
        document: dict[str, Any] = {"verdict": None, "reason": "a dry run measures nothing", "steps": steps}
        print(json.dumps(document, indent=2))
        return
    for row in rows:
        screen.say(f"\n== {row.title}" + (f": nothing to do, {row.skipped}" if row.skipped else ""), style="bold")
        for command in row.commands:
            screen.say(command_text(command))
    screen.say("\nNothing was changed.")


def command_text(command: Script | LocalCommand) -> str:
    """One command as it would run: a script's text, or a command line with the environment that is set for it."""
    if isinstance(command, Script):
        return command.shown()
    settings = [f"{name}={shlex.quote(value)}" for name, value in sorted(command.environment.items())]
    line = " ".join(["env", *settings, shlex.join(command.argv)])
    return f"# {command.title}, on this machine\ncd {shlex.quote(str(command.folder))} && {line}"
