"""The Invoke entry point: puts the collections of deploy/cli together, and adds what only a checkout can do."""

import shlex
import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from deploy.cli.program import namespace
from deploy.cli.terminals import show_what_can_be_shown


@task(
    help={
        "runs": "how often the gateway is run (default: 3)",
        "json": "print one JSON document",
        "board": "measure on this board's emulated machine instead, with --emulate: the memory rows",
        "emulate": "a real Linux kernel of the board's architecture, under QEMU (docs/emulated.md)",
    }
)
def gateway(context: Context, runs: int = 3, json: bool = False, board: str = "", emulate: bool = False) -> None:
    """The gateway's memory and speed on this machine, or on an emulated board, against the goals."""
    script = Path(__file__).parent / "benchmarks" / "gateway_goals.py"
    command = [sys.executable, str(script), "--runs", str(runs)]
    command += [flag for flag, wanted in (("--json", json), ("--emulate", emulate)) if wanted]
    command += ["--board", board] if board else []
    done = context.run(shlex.join(command), warn=True, in_stream=False)
    if done is None or not done.ok:
        raise Exit(code=1 if done is None else done.exited)


@task(help={"runs": "how often each build is run (default: 3)", "json": "print one JSON document"})
def undone(context: Context, runs: int = 3, json: bool = False) -> None:
    """What each thing that made the gateway small gives: the gateway with that one thing undone."""
    script = Path(__file__).parent / "benchmarks" / "gateway_undone.py"
    command = [sys.executable, str(script), "--runs", str(runs), *(["--json"] if json else [])]
    done = context.run(shlex.join(command), warn=True, in_stream=False)
    if done is None or not done.ok:
        raise Exit(code=1 if done is None else done.exited)


show_what_can_be_shown()
ns = namespace()
ns.add_collection(Collection("bench", gateway, undone))
