"""Knows which kind of reading is taken, of what, and how its progress is told; taking it is `deploy/memory`'s."""

from __future__ import annotations

from deploy.cli.claims import Claim, circumstances_of
from deploy.cli.reaching import Place
from deploy.errors import UsageError
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.live import Load, live_reading
from deploy.memory.subject import Subject
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Verdict
from deploy.steps.face import Job, Observer
from deploy.steps.measure import TakeReading
from deploy.transport.protocol import Transport


def taker(place: Place, budget: Budget, messages: int) -> TakeReading:
    """How a deployment to `place` measures: live where its gateway talks to our stand-in already, else idle."""

    def take(job: Job, observer: Observer) -> tuple[Reading, Verdict]:
        about = {"board": job.plan.board.name, "host": str(place.host), **circumstances_of(job.built)}
        subject = Subject(job.layout, job.built.sha256, job.plan.limits, process=job.process)
        held = Claim(subject, job.plan.config.health_port, about)
        if place.loopback is not None and job.plan.config.base_url == place.loopback.base_url:
            reading = live_of(place, job.transport, held, Load(messages), observer)
        else:
            observer.note("sampling until VmRSS is steady")
            reading = idle_reading(job.transport, subject, circumstances=about)
        return reading, judge(reading, budget)

    return take


def live_of(place: Place, transport: Transport, held: Claim, load: Load, observer: Observer) -> Reading:
    """A live reading of the gateway that runs at `place`. Raises UsageError where no user side is within reach."""
    if place.loopback is None:
        raise UsageError(
            f"the gateway on {place.host} talks to Telegram itself, where nobody can count messages for it; "
            "a live reading needs a board that talks to the Bot API stand-in, such as --board local"
        )
    observer.note(f"{load.messages} messages from users, over TLS; then sampling until VmRSS is steady")
    return live_reading(
        transport,
        held.subject,
        place.loopback.user_side(),
        health_port=held.health_port,
        load=load,
        circumstances=held.circumstances,
        progress=observer.progress,
    )
