"""The Invoke entry point: puts the collections of deploy/cli together, and adds what only a checkout can do."""

import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from deploy.cli.program import namespace


@task(help={"runs": "how often the gateway is run (default: 3)", "json": "print one JSON document"})
def gateway(context: Context, runs: int = 3, json: bool = False) -> None:
    """The gateway's memory and speed on this machine, against the goals."""
    script = Path(__file__).parent / "benchmarks" / "gateway_goals.py"
    flags = f"--runs {runs}" + (" --json" if json else "")
    done = context.run(f"'{sys.executable}' '{script}' {flags}", warn=True, in_stream=False)
    if done is None or not done.ok:
        raise Exit(code=1 if done is None else done.exited)


ns = namespace()
ns.add_collection(Collection("bench", gateway))
