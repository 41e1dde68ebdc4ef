"""Knows when a gateway has to be started anew, and how to put back what ran before; the scripts are `service`'s."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from deploy.board_shell.push import drop_staged
from deploy.errors import BadAnswer, CommandFailed, NotReady, Refused
from deploy.interrupts import held_interrupts
from deploy.model.reading import Process
from deploy.service.detached import CHANGED_MEANWHILE_STATUS
from deploy.steps.asking import must
from deploy.steps.configure import differing
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.logs import log_tail
from deploy.transport.protocol import Script


@dataclass(frozen=True, slots=True)
class Start:
    """Switches `current` and starts the gateway under its limits; one script, so a lost link leaves no half of it."""

    title: str = "Start"

    def skip(self, job: Job) -> str | None:
        """The very artifact runs already, under these limits, supervised, with nothing new to tell it."""
        facts, artifact = job.known, job.artifact
        running = facts.running
        if running is None or artifact is None or differing(job) or _supervisor_differs(job):
            return None
        if facts.installed.current != artifact.release_id or running.exe_sha256 != artifact.sha256:
            return None
        if running.limits != job.plan.limits.environment() or not running.supervised:
            return None
        job.process = running.process
        return f"process {running.process.pid} runs this release under these limits already"

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The supervisor where its text differs, then the switch."""
        supervisor = (job.service.stage(),) if _supervisor_differs(job) else ()
        staged = [*differing(job), *([job.service.supervisor_path] if supervisor else [])]
        return (*supervisor, job.service.switch(job.release_id, before=_before(job), staged=staged))

    def run(self, job: Job, observer: Observer) -> str:
        """Stage, switch, and note the new process. Raises NotReady with the log where it did not stay up."""
        if _supervisor_differs(job):
            job.staged.append(job.service.supervisor_path)
            must(job.transport, job.service.stage())
        switch = job.service.switch(job.release_id, before=_before(job), staged=job.staged)
        job.switched = True
        try:
            with held_interrupts():  # a Ctrl-C now would leave the board between two releases
                completed = must(job.transport, switch)
        except CommandFailed as error:
            if error.exit_status == CHANGED_MEANWHILE_STATUS:
                job.switched = False  # it changed nothing, and what runs now is the other deployment's
                problem = "another deployment has changed this board in the meantime"
                raise Refused("changed_meanwhile", problem, error.host) from error
            raise NotReady(error.problem, error.host, log=log_tail(job.transport, job.layout)) from error
        job.process = parse_pid_file(completed.stdout)
        limits = " ".join(f"{name}={value}" for name, value in job.plan.limits.environment().items())
        return f"process {job.process.pid}, {limits}, restarted when it ends"

    def undo(self, job: Job) -> None:
        """The release, config and supervisor of before, running again if they ran."""
        if not job.switched:
            if job.staged:
                job.transport.run(drop_staged(job.staged))
            return
        facts = job.known
        restore = job.service.restore(
            facts.installed.current or None,
            previous=facts.installed.previous or None,
            staged=job.staged,
            was_running=facts.running is not None,
        )
        must(job.transport, restore)


def _before(job: Job) -> str | None:
    return job.known.installed.current or None


def _supervisor_differs(job: Job) -> bool:
    text = job.service.supervisor().encode()
    return job.known.installed.supervisor_sha256 != hashlib.sha256(text).hexdigest()


def parse_pid_file(stdout: bytes) -> Process:
    """The process in what `start`, `restart` and `switch` print last: "PID START_TICKS". Raises BadAnswer."""
    lines = stdout.decode("ascii", "replace").split("\n")
    words = next((line.split() for line in reversed(lines) if line.strip()), [])
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise BadAnswer("the board did not say which process it started", detail=" ".join(words)[:80])
    return Process(int(words[0]), int(words[1]))
