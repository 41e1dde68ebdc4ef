"""Knows how a step runs a script: one that has to succeed, or that needs the board's lock.

What a failure means is the step's own business.
"""

from __future__ import annotations

import time

from deploy.board_shell.lock import KEEP_S, LOCKED_STATUS, Lock, parse_holder
from deploy.errors import CommandFailed, Refused
from deploy.model.display import clean
from deploy.model.layout import Layout
from deploy.steps.face import Job
from deploy.transport.protocol import Completed, Progress, Script, Transport

_LAST_SECOND = 253402300799
"""The end of the year 9999: a board's clock may say anything, and gmtime takes no more."""


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


def under_lock(
    transport: Transport,
    lock: Lock,
    layout: Layout,
    script: Script,
    progress: Progress | None = None,
    *,
    keep_s: float = KEEP_S,
) -> Completed:
    """Run what changes the board, under its lock, and return how it ended. Raises Refused where another holds it."""
    completed = transport.run(lock.held(layout, script, keep_s), progress)
    refuse_where_locked(completed, transport.host)
    return completed


def held_by_us(
    transport: Transport, lock: Lock, layout: Layout, script: Script, *, keep_s: float = KEEP_S
) -> Completed:
    """As `under_lock`; raises CommandFailed where the status is not 0."""
    completed = under_lock(transport, lock, layout, script, keep_s=keep_s)
    if completed.exit_status != 0:
        raise failed(script, completed, transport.host)
    return completed


def refuse_where_locked(completed: Completed, host: str) -> None:
    """Raise Refused, with who holds it, where a script ended because another deployment holds the board."""
    if completed.exit_status != LOCKED_STATUS or (holder := parse_holder(completed.stdout)) is None:
        return
    since = time.strftime("%H:%M:%S", time.gmtime(min(holder.since_s, _LAST_SECOND)))
    problem = (
        f"{holder.who} has been changing this board since {since} UTC by its clock; the board is free at the "
        f"latest {holder.left_s} s after that deployment was last heard of"
    )
    raise Refused("locked", problem, host)


def attempt(job: Job, script: Script, progress: Progress | None = None, *, keep_s: float = KEEP_S) -> Completed:
    """As `under_lock`, for a deployment."""
    job.locked = True
    try:
        return under_lock(job.transport, job.lock, job.layout, script, progress, keep_s=keep_s)
    except Refused:
        job.locked = False
        raise


def change(job: Job, script: Script, progress: Progress | None = None, *, keep_s: float = KEEP_S) -> Completed:
    """As `attempt`; raises CommandFailed where the status is not 0."""
    completed = attempt(job, script, progress, keep_s=keep_s)
    if completed.exit_status != 0:
        raise failed(script, completed, job.transport.host)
    return completed
