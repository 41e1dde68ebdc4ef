"""Knows what every step looks like and what travels from one to the next; what it does is its own file's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.board_shell.lock import Lock
from deploy.model.artifact import Artifact
from deploy.model.board import Board
from deploy.model.facts import HostFacts
from deploy.model.gateway_config import GatewayConfig
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.reading import Process, Reading
from deploy.model.source import Source
from deploy.model.verdict import Verdict
from deploy.service.accounts import ROOT, Account, choose_account
from deploy.service.detached import Detached
from deploy.service.face import ServiceManager
from deploy.service.managers import Choice, choose, manager_called
from deploy.transport.protocol import Script, Transport


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked for, complete before a network is touched."""

    board: Board
    source: Source
    limits: Limits
    config: GatewayConfig
    prefix: str
    prefix_is_fixed: bool = False
    """Whether the user named the prefix: then no other is taken where it is not writable."""
    version: str = ""
    """The version that the binary tells; "" lets the source decide."""
    command: tuple[str, ...] | None = None
    """The arguments of a program that is no gateway: it gets no config, and is asked nothing. None for a gateway."""

    service: str = ""
    """The service manager that the user named; "" takes the host's own."""

    user: str = ""
    """The user that the gateway is to run as, as the user named it: "root" for the login's; "" for one of its own."""

    ca: str = ""
    """Which CA bundle the user named, one of `authorities.CHOICES`; "" lets what the board has decide."""
    set_clock: bool = False
    """Whether a clock that is off is set, and no reason to refuse the board."""

    @property
    def answers(self) -> bool:
        """Whether it answers on its health port: a gateway does, unless the tag `nohealth` leaves that out."""
        return self.command is None and "nohealth" not in self.source.tags


@dataclass(slots=True)
class Job:
    """One deployment under way: the plan, the connection, and what the steps have found out so far."""

    plan: Plan
    transport: Transport
    lock: Lock = field(default_factory=Lock.mine)
    locked: bool = False
    """Whether the board may be held by `lock` now."""
    facts: HostFacts | None = None
    artifact: Artifact | None = None
    staged: list[str] = field(default_factory=list)
    """Paths on the board whose new text waits beside them."""
    switched: bool = False
    committed: bool = False
    """True once Verify is content: from then on nothing is put back."""
    process: Process | None = None
    reading: Reading | None = None
    verdict: Verdict | None = None

    @property
    def known(self) -> HostFacts:
        """What preflight learned. Asking before Preflight ran is a fault in the order of the steps."""
        if self.facts is None:
            raise LookupError("Preflight has not run yet")
        return self.facts

    @property
    def built(self) -> Artifact:
        """What Build made or found. Asking before Build ran is a fault in the order of the steps."""
        if self.artifact is None:
            raise LookupError("Build has not run yet")
        return self.artifact

    @property
    def layout(self) -> Layout:
        """Where things lie on this board, with the prefix that preflight settled on."""
        prefix = self.facts.place.prefix if self.facts else self.plan.prefix
        return Layout(prefix, self.plan.source.binary)

    @property
    def choice(self) -> Choice:
        """Which service manager it is, and why not another; before preflight, what the board's file says."""
        if self.facts is None:
            return Choice(self.plan.service or self.plan.board.init)
        return choose(self.facts, self.layout, self.plan.service)

    @property
    def account(self) -> Account:
        """Which user the gateway gets, and why none; before preflight, what was asked for."""
        plan = self.plan
        if self.facts is None:
            return Account("" if plan.user == ROOT else plan.user)
        return choose_account(
            self.facts,
            self.layout,
            wanted=plan.user,
            port=plan.config.health_port,
            is_gateway=plan.command is None,
            on_this_machine=plan.board.connection == "loopback",
        )

    @property
    def service(self) -> ServiceManager:
        """The service manager that is to keep the gateway running."""
        return self._manager(self.choice.name, self.account.name)

    @property
    def service_before(self) -> ServiceManager | None:
        """The one that has kept it so far, where that is another; None where it is the same, or there was none."""
        if not self.known.installed.current:
            return None
        before = self.known.init.manager or Detached.name
        return self._manager(before, self.known.init.user) if before != self.choice.name else None

    def _manager(self, name: str, user: str) -> ServiceManager:
        init = self.facts.init if self.facts else None
        command = self.plan.command
        return manager_called(
            name,
            self.layout,
            self.plan.limits,
            init=init,
            arguments=("gateway",) if command is None else command,
            takes_config=command is None,
            user=user,
        )

    @property
    def release_id(self) -> str:
        """The release's id, or a stand-in for it in a dry run of something that is not built yet."""
        return self.artifact.release_id if self.artifact else "SHA256-OF-THE-ARTIFACT"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How one step went: skipped for a reason, or done with a detail that people read."""

    title: str
    skipped: str | None
    detail: str
    seconds: float
    round_trips: int


class Observer(Protocol):
    """Who is told how a deployment goes. Nothing below `deploy/cli` prints."""

    def started(self, title: str) -> None:
        """A step begins."""
        ...

    def note(self, text: str) -> None:
        """One line of what the step is doing now."""
        ...

    def progress(self, done: int, total: int) -> None:
        """How far the step is: bytes or messages, as its title says."""
        ...

    def finished(self, record: StepRecord) -> None:
        """The step has ended well."""
        ...


@dataclass(frozen=True, slots=True)
class LocalCommand:
    """What would run on the controller: shown by a dry run."""

    title: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    folder: Path


class Step(Protocol):
    """One verb of a deployment."""

    @property
    def title(self) -> str:
        """The verb, for people: "Build"."""
        ...

    def skip(self, job: Job) -> str | None:
        """Why there is nothing to do, or None. Asks no host."""
        ...

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """What `run` would run, in order: the dry run's text."""
        ...

    def run(self, job: Job, observer: Observer) -> str:
        """Do it, note the outcome in `job`, return one line about it. Raises errors with the bare problem."""
        ...

    def undo(self, job: Job) -> None:
        """Put back what `run` changed, wholly or in part, after it or a later step failed. Only after `run` began."""
        ...
