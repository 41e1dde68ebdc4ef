"""Knows where in a deployment the reading is taken; how one is taken and judged is `deploy/memory`'s, handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deploy.model.reading import Reading
from deploy.model.verdict import Outcome, Verdict
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.transport.protocol import Script

TakeReading = Callable[[Job, Observer], tuple[Reading, Verdict]]
"""Takes a reading of the gateway that the job has started, and judges it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Takes the reading. A deployment is committed by then: whatever comes out here puts nothing back."""

    take: TakeReading
    title: str = "Measure"

    def skip(self, job: Job) -> str | None:
        """Never: who wants no reading leaves the step out."""
        return None

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """Nothing that changes the board; what is asked depends on the answers."""
        return ()

    def run(self, job: Job, observer: Observer) -> str:
        """Take it and note it in the job; the verdict is the deployment's exit code."""
        reading, verdict = self.take(job, observer)
        job.reading, job.verdict = reading, verdict
        if verdict.outcome is Outcome.NOT_MEASURED:
            return Outcome.NOT_MEASURED.value
        return f"{reading.kind} reading, {len(reading.samples)} samples: {verdict.outcome.value}"

    def undo(self, job: Job) -> None:
        """Nothing was changed."""
