"""Knows which kind of reading a command takes, of what, and how its progress is told; taking it is `deploy/memory`'s."""

from __future__ import annotations

from deploy.cli.reaching import Place
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.live import live_reading
from deploy.memory.subject import Subject
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Verdict
from deploy.steps.face import Job, Observer
from deploy.steps.measure import TakeReading


def taker(place: Place, budget: Budget, messages: int) -> TakeReading:
    """How a deployment to `place` measures: live where its gateway talks to our stand-in already, else idle."""

    def take(job: Job, observer: Observer) -> tuple[Reading, Verdict]:
        artifact = job.built
        subject = Subject(job.layout, artifact.sha256, job.plan.limits, process=job.process)
        circumstances = {
            "board": job.plan.board.name,
            "host": job.transport.host,
            "version": artifact.version,
            "target": str(artifact.target),
            "tags": " ".join(artifact.tags),
            "ldflags": artifact.ldflags,
            "Go": artifact.toolchain,
            "source revision": artifact.revision or "not in git",
        }
        if place.loopback is None:
            observer.note("sampling until it settles")
            reading = idle_reading(job.transport, subject, circumstances=circumstances)
        else:
            observer.note(f"{messages} messages from users, over TLS")
            reading = live_reading(
                job.transport,
                subject,
                place.loopback.user_side(),
                job.plan.config.health_port,
                messages,
                circumstances=circumstances,
                progress=observer.progress,
            )
        return reading, judge(reading, budget)

    return take
