"""Knows the order of a deployment, and how one is carried out, rehearsed or undone; not what a step does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from deploy.errors import HostError
from deploy.interrupts import held_interrupts
from deploy.steps.build import Build
from deploy.steps.clock import SetClock
from deploy.steps.commit import Commit
from deploy.steps.configure import Configure
from deploy.steps.face import Job, LocalCommand, Observer, Step, StepRecord
from deploy.steps.measure import Measure, TakeReading
from deploy.steps.preflight import Preflight
from deploy.steps.push import Push
from deploy.steps.start import Start
from deploy.steps.verify import Verify
from deploy.transport.protocol import Script

DEPLOY: tuple[Step, ...] = (
    Preflight(),  # ask everything in one round trip; refuse before anything is built
    Build(),  # go build, the ELF header held against the target
    Push(),  # the release into its own folder, by hash; nothing that runs is touched
    Configure(),  # the config as bytes, staged beside the old one
    Start(),  # one script: stop, switch, start under limits
    Verify(),  # ready, and still ready: the deployment is committed, or put back
)

GATED_GUARD_S = 600
"""As `GUARD_S`, where a live reading comes first: its messages and its settling take minutes on a slow board."""


def deployment(
    take: TakeReading | None, *, set_clock: bool = False, gate: bool = False, build: Step | None = None
) -> tuple[Step, ...]:
    """DEPLOY, then Measure with `take`; without one the deployment ends when it is verified.

    With `gate` it is committed only after a reading that is within its budget; the guard waits that much longer.
    With `set_clock` the clock is set right after Preflight: whether that can be done is to show before a build.
    `build` stands in for Build where many hosts share one.
    """
    steps = tuple(build if build and isinstance(step, Build) else step for step in DEPLOY)
    if set_clock:
        steps = (steps[0], SetClock(), *steps[1:])
    if take is None:
        return steps
    if gate:
        started = (replace(step, guard_s=GATED_GUARD_S) if isinstance(step, Start) else step for step in steps[:-1])
        return (*started, Verify(commits=False), Measure(take), Commit())
    return (*steps, Measure(take))


def carry_out(
    steps: Sequence[Step], job: Job, observer: Observer, clock: Callable[[], float] = time.monotonic
) -> tuple[StepRecord, ...]:
    """Run the steps in order. When one fails, or Ctrl-C arrives, what was changed is put back, last first.

    Raises what the step raised; its notes (`__notes__`) name the step and say what became of the putting back.
    """
    records: list[StepRecord] = []
    begun: list[Step] = []
    title = ""
    try:  # also around what lies between two steps: Ctrl-C comes when it comes, and to tell of a step may fail
        for step in steps:
            title = step.title
            observer.started(title)
            started_s, asked = clock(), job.transport.round_trips
            reason, detail = step.skip(job), ""
            if reason is None:
                begun.append(step)
                detail = step.run(job, observer)
            record = StepRecord(title, reason, detail, clock() - started_s, job.transport.round_trips - asked)
            records.append(record)
            observer.finished(record)
        with held_interrupts():
            _let_go(job)
    except BaseException as error:
        error.add_note(f"in step {title}")
        # A second Ctrl-C asks for what is happening already; what became of the board is to be heard all the same.
        with suppress(KeyboardInterrupt), held_interrupts():
            try:
                if not job.committed:
                    _put_back(begun, job, error)
            finally:
                _let_go(job)
        raise
    return tuple(records)


def _let_go(job: Job) -> None:
    """Drop the lock. It ends by itself too: where the board can't be told, that is no fault of this deployment."""
    if job.locked:
        with suppress(HostError):
            job.transport.run(job.lock.release(job.layout))
        job.locked = False


def _put_back(begun: Sequence[Step], job: Job, error: BaseException) -> None:
    failures = []
    for step in reversed(begun):
        try:
            step.undo(job)
        except HostError as problem:
            failures.append(f"{step.title} could not be undone: {problem.problem}")
    for failure in failures:
        error.add_note(failure)
    if job.switched and not failures:
        before = job.known.installed.current
        running = "and runs" if job.known.running else "and stopped, as it was"
        error.add_note(f"release {before} is back {running}" if before else "nothing ran before: nothing runs now")


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one step of a dry run would do: a reason to do nothing, or commands."""

    title: str
    skipped: str | None
    commands: tuple[Script | LocalCommand, ...]


def _as_run(job: Job, command: Script | LocalCommand) -> Script | LocalCommand:
    if isinstance(command, Script) and command.changes:
        return job.lock.held(job.layout, command)
    return command


def rehearse(steps: Sequence[Step], job: Job, observer: Observer) -> tuple[Rehearsed, ...]:
    """What `carry_out` would do, without doing it. Only Preflight runs, which changes nothing.

    Where a value is not known before the build (the release's id), a name in capitals stands for it.
    """
    rows = []
    for step in steps:
        commands = step.commands(job)
        if isinstance(step, Preflight):
            step.run(job, observer)
        reason = step.skip(job)
        shown = () if reason else step.commands(job) or commands
        rows.append(Rehearsed(step.title, reason, tuple(_as_run(job, each) for each in shown)))
    return tuple(rows)
