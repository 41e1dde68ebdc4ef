"""Knows when a gateway has to be started anew, and how to put back what ran before; the scripts are `service`'s."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from deploy.board_shell.reading_back import SLOWEST_LINK_BYTES_S
from deploy.errors import BadAnswer, CommandFailed, ConnectionLost, DeadlineExceeded, NotReady, Refused
from deploy.interrupts import held_interrupts
from deploy.model.reading import Process
from deploy.model.units import show_bytes
from deploy.service.face import CHANGED_MEANWHILE_STATUS, NOT_OURS_STATUS, ServiceManager
from deploy.service.guard import GUARD_UNREADY_STATUS, arm
from deploy.steps.asking import attempt, change
from deploy.steps.configure import differing
from deploy.steps.delivery import HASHERS
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.logs import log_tail
from deploy.steps.space import IN_MEMORY
from deploy.transport.protocol import Script

GUARD_S = 120
"""After this the board puts back what ran before, by itself, unless Verify has been content until then.

Stopping and starting take up to 40 s, getting ready up to 30, a slow link the rest.
"""

SLACK_S = 60
"""For how long the lock outlives the guard, at most: as long as putting back may take."""


@dataclass(frozen=True, slots=True)
class Start:
    """Switches `current` and starts the gateway under its limits; one script, so a lost link leaves no half of it."""

    guard_s: int = GUARD_S
    title: str = "Start"

    def skip(self, job: Job) -> str | None:
        """The very artifact runs already, under these limits, supervised, with nothing new to tell it."""
        facts, artifact = job.known, job.artifact
        running = facts.running
        if running is None or artifact is None or differing(job) or _differing_texts(job) or job.service_before:
            return None
        if facts.installed.current != artifact.release_id or running.exe_sha256 != artifact.sha256:
            return None
        limits = job.plan.limits
        if running.limits != limits.environment() or not running.supervised or _hard_differs(job):
            return None
        if job.account.name and running.user != job.account.name:
            return None
        job.process = running.process
        return f"process {running.process.pid} runs this release under these limits already"

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The service manager's texts where they differ, then the switch."""
        if job.facts is None:
            return (
                job.service.switch(job.release_id, before=None, staged=()),
            )  # guarded too, once it is known by what
        texts = _differing_texts(job)
        stage = (job.service.stage(texts),) if texts else ()
        return (*stage, self._switch(job, [*differing(job), *texts]))

    def run(self, job: Job, observer: Observer) -> str:
        """Stage, switch, and note the new process. Raises NotReady with the log where it did not stay up."""
        if texts := _differing_texts(job):
            job.staged += texts
            change(job, job.service.stage(texts))
        switch = self._switch(job, job.staged)
        job.switched = True
        try:
            with held_interrupts():  # a Ctrl-C now would leave the board between two releases
                completed = change(job, switch, keep_s=self._patience_s(job) + SLACK_S)
        except Refused:  # another deployment holds the board
            job.switched = False
            raise
        except CommandFailed as error:
            if error.exit_status == GUARD_UNREADY_STATUS:
                job.switched = False
                raise
            if error.exit_status == CHANGED_MEANWHILE_STATUS:
                job.switched = False  # it changed nothing, and what runs now is the other deployment's
                problem = "another deployment has changed this board in the meantime"
                raise Refused("changed_meanwhile", problem, error.host) from error
            if error.exit_status == NOT_OURS_STATUS:
                job.switched = False
                problem = f"a service {job.service.service} is on this board already, and it is not ours"
                raise Refused("service_taken", problem, error.host) from error
            log = log_tail(job.transport, job.service)
            raise NotReady(_killed(job, log) or error.problem, error.host, log=log) from error
        job.process = parse_pid_file(completed.stdout)
        limits = " ".join(f"{name}={value}" for name, value in job.plan.limits.environment().items())
        return f"process {job.process.pid}{_whose(job)}, {limits}, {_held(job)}{_kept(job)}"

    def _switch(self, job: Job, staged: Sequence[str]) -> Script:
        service, layout, guard_s = job.service, job.layout, self._patience_s(job)
        putting_back = f"{service.preamble()}{service.putting_back(**_before_that(job, staged))}"
        let_go = f"{job.lock.functions(layout)}drop_lock"
        return service.switch(
            job.release_id,
            before=_before(job),
            staged=staged,
            instead_of=job.service_before,
            guard=arm(layout, putting_back, guard_s, let_go),
        )

    def _patience_s(self, job: Job) -> int:
        """Where the board can't hash, Verify reads the program back, which takes its time on a slow link."""
        if job.facts is None or job.known.tools & HASHERS:
            return self.guard_s
        return self.guard_s + (job.artifact.size_bytes if job.artifact else 0) // SLOWEST_LINK_BYTES_S

    def undo(self, job: Job) -> None:
        """The release, config and supervisor of before, running again if they ran."""
        if not job.switched:
            if job.staged and job.locked:
                attempt(job, job.service.drop(job.staged))
            return
        try:
            change(job, job.service.restore(**_before_that(job, job.staged)))
        except (ConnectionLost, DeadlineExceeded) as error:
            error.problem += f"; the board itself puts back what ran before, within {self._patience_s(job)} s"
            raise


class _Before(TypedDict):
    before: str | None
    previous: str | None
    staged: Sequence[str]
    was_running: bool
    instead_of: ServiceManager | None


def _before_that(job: Job, staged: Sequence[str]) -> _Before:
    """What `restore` has to know of the time before the switch."""
    installed = job.known.installed
    return {
        "before": installed.current or None,
        "previous": installed.previous or None,
        "staged": tuple(staged),
        "was_running": job.known.running is not None,
        "instead_of": job.service_before,
    }


def _before(job: Job) -> str | None:
    return job.known.installed.current or None


def _differing_texts(job: Job) -> list[str]:
    """The paths of the service manager's texts that the board does not have so."""
    prefix, on_board = f"{job.layout.prefix}/", job.known.installed.service_sha256
    return [
        text.path
        for text in job.service.texts()
        if on_board.get(text.path.removeprefix(prefix)) != hashlib.sha256(text.content.encode()).hexdigest()
    ]


def _hard_differs(job: Job) -> bool:
    running, wanted = job.known.running, job.plan.limits.hard_bytes
    return wanted is not None and bool(job.known.init.cgroup) and (running is None or running.hard_bytes != wanted)


def _held(job: Job) -> str:
    """The hard limit, where one was asked for; Verify reads it back."""
    hard = job.plan.limits.hard_bytes
    if hard is None:
        return ""
    if not job.known.init.cgroup:
        return "no hard limit (this kernel has no memory cgroup that is mounted), "
    return f"hard limit {show_bytes(hard)} (cgroup {job.known.init.cgroup}), "


def _killed(job: Job, log: str) -> str:
    """The sentence for a gateway that needs more than its hard limit; "" where that is not why it ended."""
    hard = job.plan.limits.hard_bytes
    # What systemd says, and what a supervisor says of SIGKILL (128 + 9, as sh tells it).
    if hard is None or not any(sign in log for sign in ("oom-kill", "with status 137")):
        return ""
    return f"the kernel ended the gateway: it needs more than its hard limit of {show_bytes(hard)}"


def _whose(job: Job) -> str:
    """The user that it runs as, where that was ours to say."""
    account = job.account
    if account.name:
        return f" of its own user {account.name}"
    return f" of root ({account.reason})" if account.reason else ""


def _kept(job: Job) -> str:
    """By whom it is kept running, and whether that outlives a reboot."""
    choice, service, place = job.choice, job.service, job.known.place
    if place.file_system in IN_MEMORY:
        return f"restarted when it ends, but gone after a reboot: {place.mount_point} is a {place.file_system}"
    if service.survives_reboot:
        return f"kept running by {service.name}, also after a reboot"
    why = f": {choice.reason}" if choice.reason else ""
    return f"restarted when it ends, but not after a reboot{why}"


def parse_pid_file(stdout: bytes) -> Process:
    """The process in what `start`, `restart` and `switch` print last: "PID START_TICKS". Raises BadAnswer."""
    lines = stdout.decode("ascii", "replace").split("\n")
    words = next((line.split() for line in reversed(lines) if line.strip()), [])
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise BadAnswer("the board did not say which process it started", detail=" ".join(words)[:80])
    return Process(int(words[0]), int(words[1]))
