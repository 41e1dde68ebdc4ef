"""Knows how a step runs a script that has to succeed; what a failure means is the step's own business."""

from __future__ import annotations

from deploy.errors import CommandFailed
from deploy.model.display import clean
from deploy.transport.protocol import Completed, Progress, Script, Transport


def must(transport: Transport, script: Script, progress: Progress | None = None) -> Completed:
    """Run `script`; raise CommandFailed with what it printed where its status is not 0."""
    completed = transport.run(script, progress)
    if completed.exit_status != 0:
        raise failed(script, completed, transport.host)
    return completed


def failed(script: Script, completed: Completed, host: str) -> CommandFailed:
    """The error for a script that ended badly; the last line on its standard error is the likeliest cause."""
    stderr, stdout = clean(completed.stderr), clean(completed.stdout)
    said = [line for line in (stderr or stdout).splitlines() if line.strip()]
    why = f": {said[-1].strip()}" if said else f" (status {completed.exit_status})"
    return CommandFailed(
        f"could not {script.title}{why}", host, exit_status=completed.exit_status, stdout=stdout, stderr=stderr
    )
