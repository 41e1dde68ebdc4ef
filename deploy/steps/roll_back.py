"""Knows how a release that is on the board already becomes the current one again, with the files by which it ran.

It is a deployment without a build and a push: switched under a guard, held to be ready, put back where it is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from deploy.board_shell.framing import Framing
from deploy.board_shell.health import parse_health
from deploy.board_shell.lock import Lock
from deploy.board_shell.observe import observe_script, parse_observation
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.releases import Held, HeldRelease
from deploy.errors import BadAnswer, HostError, NotReady, Refused
from deploy.interrupts import held_interrupts
from deploy.model.facts import Running
from deploy.model.reading import Process
from deploy.service.face import ServiceManager
from deploy.service.guard import arm, commit
from deploy.service.texts import kept_with, waits_at
from deploy.steps.asking import held_by_us
from deploy.steps.logs import log_tail
from deploy.steps.start import GUARD_S, SLACK_S, parse_pid_file
from deploy.steps.verify import PAUSE_S, READY_WITHIN_S, SETTLE_S, telegram
from deploy.transport.protocol import Script, Transport


@dataclass(frozen=True, slots=True)
class RollBack:
    """The way back to `to`, on a board that holds `held`."""

    transport: Transport
    service: ServiceManager
    held: Held
    to: HeldRelease
    lock: Lock
    note: Callable[[str], None]
    is_gateway: bool = True
    """Whether it can be asked for its health; another program has to run, and to run on."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def files(self) -> tuple[str, ...]:
        """The paths whose text of then is kept; what another service manager ran it by is of no use to this one."""
        layout = self.service.layout
        paths = [layout.config, layout.ca_file]
        if self.to.keeper == self.service.name:
            paths += [text.path for text in self.service.texts()]
        return tuple(path for path in paths if path.rpartition("/")[2] in self.to.kept)

    def scripts(self) -> tuple[Script, ...]:
        """What `run` would run that changes the board."""
        layout = self.service.layout
        return tuple(self.lock.held(layout, each) for each in (self._stage(), self._switch(), commit(layout, ())))

    def run(self) -> Process:
        """Switch, wait until it is ready and still ready. Raises NotReady, what ran before being back, or Refused."""
        if not self.to.sha256.startswith(self.to.release_id):
            problem = f"release {self.to.release_id} on the board is not whole any more: its hash differs"
            raise Refused("broken_release", problem, self.transport.host)
        switched = False
        try:
            self._change(self._stage())
            with held_interrupts():
                switched = True
                completed = self._change(self._switch(), keep_s=GUARD_S + SLACK_S)
            process = parse_pid_file(completed)
            self._hold(process)
            self._change(commit(self.service.layout, ()))
        except BaseException as error:
            self._put_back(error, switched=switched)
            raise
        return process

    def _stage(self) -> Script:
        layout = self.service.layout
        folder = quote_path(kept_with(layout, self.to.release_id))
        copies = [
            f"cp -p {folder}/{quote_path(path.rpartition('/')[2])} {quote_path(waits_at(layout, path))} || exit 1"
            for path in self.files()
        ]
        return Script(title="take out the files by which the release ran", text="\n".join([*copies, ":"]) + "\n")

    def _switch(self) -> Script:
        service = self.service
        guard = arm(
            service.layout,
            service.preamble() + self._putting_back(),
            GUARD_S,
            f"{self.lock.functions(service.layout)}drop_lock",
        )
        return service.switch(self.to.release_id, before=self.held.current, staged=self.files(), guard=guard)

    def _putting_back(self) -> str:
        return self.service.putting_back(
            self.held.current, previous=self.held.previous or None, staged=self.files(), was_running=self.held.runs
        )

    def _change(self, script: Script, keep_s: float = 120) -> bytes:
        return held_by_us(self.transport, self.lock, self.service.layout, script, keep_s=keep_s).stdout

    def _hold(self, process: Process) -> None:
        """Ready, and after the settle time still ready, the same process, of that release."""
        deadline = self.clock() + READY_WITHIN_S
        while problem := self._fault(process):
            if self.clock() >= deadline:
                raise self._not_ready(
                    f"release {self.to.release_id} is not ready after {READY_WITHIN_S:g} s: {problem}"
                )
            self.note(f"waiting until it is ready: {problem}")
            self.sleep(PAUSE_S)
        self.note(f"ready; settling for {SETTLE_S:g} s")
        self.sleep(SETTLE_S)
        if problem := self._fault(process):
            raise self._not_ready(f"release {self.to.release_id} was ready and is not any more: {problem}")

    def _fault(self, process: Process) -> str:
        framing = Framing.new()
        script = observe_script(self.service.layout, framing, ask_it=self.is_gateway)
        running, said = parse_observation(framing, self.transport.run(script).stdout)
        self._check(process, running)
        if not self.is_gateway:
            return ""
        try:
            health = parse_health(said)
        except BadAnswer as error:
            return error.problem
        return "" if health.ready else telegram(health)

    def _check(self, process: Process, running: Running | None) -> None:
        if running is None:
            raise self._not_ready("the gateway has ended")
        if running.process != process:
            raise self._not_ready("the gateway ended and was started again")
        if running.exe_sha256 != self.to.sha256:
            raise self._not_ready(f"process {process.pid} runs another binary than the release")

    def _not_ready(self, problem: str) -> NotReady:
        return NotReady(problem, self.transport.host, log=log_tail(self.transport, self.service))

    def _put_back(self, error: BaseException, *, switched: bool) -> None:
        service = self.service
        with held_interrupts():
            try:
                if switched and not isinstance(error, Refused):
                    restore = service.restore(
                        self.held.current,
                        previous=self.held.previous or None,
                        staged=self.files(),
                        was_running=self.held.runs,
                    )
                    self._change(restore)
                    error.add_note(f"release {self.held.current} is back")
                else:
                    self._change(service.drop(self.files()))
            except HostError as problem:
                error.add_note(f"it could not be put back from here: {problem.problem}")
                if switched:
                    error.add_note(f"the board itself puts back what ran before, within {GUARD_S} s")
            with suppress(HostError):
                self.transport.run(self.lock.release(service.layout))
