"""Knows when a started gateway can be believed to run: ready, and after the settle time still the same process, ready.

What is put back when it does not is `start.py`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.board_shell.framing import Framing
from deploy.board_shell.health import Health, parse_answer, parse_health, question
from deploy.board_shell.observe import observe_script, parse_observation
from deploy.errors import BadAnswer, ForwardRefused, NotReady
from deploy.model.facts import Running
from deploy.model.units import show_bytes
from deploy.steps.asking import must
from deploy.steps.commit import commit_script, stand_by
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.logs import log_tail
from deploy.steps.start import Start
from deploy.transport.protocol import Script

READY_WITHIN_S = 30.0
"""A slow board needs seconds for its first TLS handshake; Telegram may be asked twice."""

SETTLE_S = 2.0
"""How long it has to stay up after it was ready first."""

PAUSE_S = 0.1

_STATES = {
    "ok": "answers",
    "connecting": "has not answered yet",
    "unauthorized": "refuses the token",
    "conflict": "gives the messages to another gateway, or to a webhook",
    "error": "can't be reached",
}


@dataclass(frozen=True, slots=True)
class Verify:
    """Waits twice: ready, then still ready. Then the deployment is committed, unless a reading is to decide."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    settle_s: float = SETTLE_S
    commits: bool = True
    """False where a reading is to decide: then the guard stays until it is there (`commit.py`)."""
    title: str = "Verify"

    def skip(self, job: Job) -> str | None:
        """Never: even where nothing was changed, a deployment ends with a gateway that is ready."""
        return None

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The look at the process, then the removal; GET /ready travels beside them, through a forwarded channel."""
        if job.facts is None:
            return ()
        changes = job.switched or job.known.installed.guarded or Start().skip(job) is None
        ending = (commit_script(job),) if changes else ()
        return (observe_script(job.layout, Framing.new(), ask_it=job.plan.answers), *ending)

    def run(self, job: Job, observer: Observer) -> str:
        """Raises NotReady, with the end of the log, where the gateway is not or does not stay ready."""
        if not job.plan.answers:
            return self._verify_program(job, observer) + _unasked(job)
        port = job.plan.config.health_port
        if not job.switched:
            health = self._wait_until_ready(job, observer)
            self._stays(job, observer)
            return f"/ready answers on port {port}; {counted(health)}"
        self._wait_until_ready(job, observer)
        observer.note(f"ready; settling for {self.settle_s:g} s")
        self.sleep(self.settle_s)
        running, health = self._look(job)
        check(job, running)
        if not health.ready:
            raise self._not_ready(job, f"the gateway was ready and is not any more: {telegram(health)}")
        if self.commits:
            stand_by(job, observer)
        return f"/ready answers on port {port}, the same process for {self.settle_s:g} s, limits in force"

    def undo(self, job: Job) -> None:
        """Nothing was changed."""

    def _verify_program(self, job: Job, observer: Observer) -> str:
        """A program that does not answer on a health port has to run, and to run on."""
        if job.switched:
            observer.note(f"settling for {self.settle_s:g} s")
            self.sleep(self.settle_s)
        check(job, self._running(job))
        if not job.switched:
            self._stays(job, observer)
            return "it runs, limits in force"
        if self.commits:
            stand_by(job, observer)
        return f"the same process for {self.settle_s:g} s, limits in force"

    def _stays(self, job: Job, observer: Observer) -> None:
        """What ran before runs on. But it may be another deployment's, whose guard would put it back in a minute.

        Raises Refused where that deployment may still be at it; whoever goes on with it after a kill stands by it.
        """
        if job.known.installed.guarded and self.commits:
            stand_by(job, observer)
        job.committed = True

    def _wait_until_ready(self, job: Job, observer: Observer) -> Health:
        port = job.plan.config.health_port
        deadline = self.clock() + READY_WITHIN_S
        by_forward, problem = True, "nothing answers on its health port"
        while True:
            try:
                if by_forward:
                    health = parse_answer(job.transport.request(port, question("/ready", port)))
                else:
                    running, health = self._look(job)
                    check(job, running)
                if health.ready:
                    return health
                problem = telegram(health)
                if health.telegram_state == "unauthorized":
                    raise self._not_ready(job, f"the gateway is not ready: {problem}")
            except ForwardRefused:
                by_forward = False  # nothing listens yet, or this server forwards nothing: ask the binary itself
            except BadAnswer as error:
                problem = error.problem
            if self.clock() >= deadline:
                raise self._not_ready(job, f"the gateway is not ready after {READY_WITHIN_S:g} s: {problem}")
            observer.note(f"waiting until it is ready: {problem}")
            self.sleep(PAUSE_S)

    def _look(self, job: Job) -> tuple[Running | None, Health]:
        framing = Framing.new()
        completed = must(job.transport, observe_script(job.layout, framing))
        running, status = parse_observation(framing, completed.stdout)
        if running is None:
            hard = job.plan.limits.hard_bytes
            under = "" if hard is None else f" under its hard limit of {show_bytes(hard)}, which may be too small"
            raise self._not_ready(job, f"the gateway has ended{under}")
        return running, parse_health(status)

    def _running(self, job: Job) -> Running | None:
        framing = Framing.new()
        completed = must(job.transport, observe_script(job.layout, framing, ask_it=False))
        return parse_observation(framing, completed.stdout)[0]

    def _not_ready(self, job: Job, problem: str) -> NotReady:
        return NotReady(problem, job.transport.host, log=log_tail(job.transport, job.service))


def _unasked(job: Job) -> str:
    """What a gateway that can't be asked leaves open; "" for a program that is none."""
    if job.plan.command is not None:
        return ""
    return "; built with nohealth, it has no /ready to ask: whether Telegram answers, its log tells"


def check(job: Job, running: Running | None) -> None:
    """Raise NotReady where what runs is not the release, under its limits, and the process that was started."""
    host, artifact = job.transport.host, job.built
    if running is None:
        raise NotReady("the gateway has ended", host)
    if job.process is not None and running.process != job.process:
        raise NotReady("the gateway ended and was started again", host, log=log_tail(job.transport, job.service))
    if not running.exe_sha256:
        raise NotReady(f"the program of process {running.process.pid} can't be read, to see whose it is", host)
    if running.exe_sha256 != artifact.sha256:
        raise NotReady(f"process {running.process.pid} runs another binary than the artifact", host)
    wanted = job.plan.limits.environment()
    if running.limits != wanted:
        raise NotReady(f"the limits did not reach the process: it has {running.limits}, not {wanted}", host)
    if job.account.name and running.user != job.account.name:
        raise NotReady(f"process {running.process.pid} is {running.user}'s instead of {job.account.name}'s", host)
    hard = job.plan.limits.hard_bytes
    if hard is not None and job.known.init.cgroup and running.hard_bytes != hard:
        has = "none" if running.hard_bytes is None else f"{running.hard_bytes} bytes"
        raise NotReady(f"the hard limit of {hard} bytes is not the kernel's: the process has {has}", host)


def telegram(health: Health) -> str:
    """What the gateway says of its connection to Telegram, as a clause."""
    said = _STATES.get(health.telegram_state, f"says {health.telegram_state!r}")
    return f"Telegram {said}" + (f" ({health.telegram_detail})" if health.telegram_detail else "")


def counted(health: Health) -> str:
    """The counters of a gateway that was running already."""
    return f"{health.inbound} messages received and {health.outbound} sent so far"
