"""Knows what a rollout is: waves over a fleet, and where each host of it stands; keeping that is `fleet`'s."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from deploy.model.artifact import Artifact
from deploy.model.deployment import Deployment


class State(Enum):
    """Where one host of a rollout stands."""

    WAITING = "waiting"
    UNDER_WAY = "under way"
    """Begun and not ended. After a controller was killed: it may be either, and is done again (a deployment that has
    been carried out already changes nothing)."""
    DEPLOYED = "deployed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    """What ran before runs on, or was put back; the problem says where not even that could be done."""
    UNREACHABLE = "unreachable"
    ROLLED_BACK = "rolled back"

    @property
    def is_final(self) -> bool:
        """Whether a rollout that is resumed leaves it alone. Who could not be reached is tried again."""
        return self in (State.DEPLOYED, State.UNCHANGED, State.FAILED, State.ROLLED_BACK)

    @property
    def is_well(self) -> bool:
        """Whether the new release runs there."""
        return self in (State.DEPLOYED, State.UNCHANGED)


class Phase(Enum):
    """Where a whole rollout stands."""

    RUNNING = "running"
    PAUSED = "paused"
    """Between two waves, because somebody asked; `fleet.resume` goes on."""
    STOPPED = "stopped"
    """By a gate, or by too many failures; `fleet.resume` goes on with what is left."""
    ROLLING_BACK = "rolling back"
    """A wave that missed its gates is being led back; then it is stopped. After a kill that is finished first."""
    ABORTED = "aborted"
    """By somebody; it is never gone on with."""
    ENDED = "ended"


class OnFailure(Enum):
    """What a wave that misses its gates brings about."""

    ROLLBACK = "rollback"
    STOP = "stop"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one host. Sizes in KiB; None where nothing was measured."""

    member: str
    state: State
    wave: int = 0
    problem: str = ""
    """One sentence; "" where there was none."""
    cure: str = ""
    exit_code: int = 0
    """As the same command on this one host would have ended: 0, 1, 2, 3 or 4."""
    seconds: float = 0.0
    board: str = ""
    host: str = ""
    """As its command line names it: user@address:port."""
    release: str = ""
    release_before: str = ""
    verdict: str = ""
    """PASS, FAIL or NOT MEASURED; "" where no reading was asked for."""
    rss_kib: int | None = None
    rss_error_kib: int | None = None
    hwm_kib: int | None = None
    document: dict[str, Any] | None = None
    """What `deploy --json` prints; not for showing, for keeping."""
    record: Deployment | None = field(default=None, compare=False)
    """What the controller is to remember of a deployment; it does so before the result is shown or kept."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Some members, that are deployed to together; judged before the next."""

    number: int
    """From 1."""
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """One thing that was asked of a wave, or of the whole rollout, and is not so."""

    gate: str
    """As the user wrote it: p95-rss<=5MiB, or max-fail 3."""
    sentence: str
    """With the figure, the bound and the worst hosts."""
    hosts: tuple[str, ...] = ()
    """The worst ones, at most three, the worst first."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When a rollout goes on: what is asked of each wave, and what happens when it falls short."""

    waves: tuple[str, ...]
    """As the user wrote them: ("1", "5%", "25%", "rest")."""
    gates: tuple[str, ...] = ()
    """As the user wrote them: ("p95-rss<=5MiB",)."""
    max_fail: str = "0"
    """How many hosts of the whole rollout may fail: a number, or a share such as 5%."""
    on_failure: OnFailure = OnFailure.STOP
    pause_s: float = 0.0
    """How long to wait between two waves."""
    at_once: int = 32
    """How many hosts are worked on at the same time."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One run over a fleet, as it is kept; by its id anybody can go on with it."""

    id: str
    """Such as 20261123-221503-3f9a: the time in UTC at which it was begun, and four digits of chance."""
    begun_at: str
    phase: Phase
    policy: Policy
    inventory: str
    """Where the inventory was read from."""
    wishes: dict[str, str | bool]
    """The flags that shape the deployment, with underscores; references to secrets and no secrets."""
    waves: tuple[Wave, ...]
    artifacts: tuple[Artifact, ...] = ()
    """What was built at its begin, one for each target that the inventory names: who resumes it deploys these."""
    why: str = ""
    """Why it is paused, stopped or aborted; "" otherwise."""
