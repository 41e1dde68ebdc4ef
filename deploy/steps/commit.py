"""Knows how a deployment becomes final: the guard on the board goes, then releases that nothing points at.

Until then whatever fails puts back what ran before. What has to hold for it is `verify.py`'s, or a reading's.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.errors import NotReady, OverBudget
from deploy.model.display import clean
from deploy.model.verdict import Outcome
from deploy.service.guard import PUT_BACK_STATUS, commit
from deploy.steps.asking import attempt, failed
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.logs import log_tail
from deploy.steps.space import unneeded
from deploy.transport.protocol import Script


@dataclass(frozen=True, slots=True)
class Commit:
    """Stands by the new release where its reading is within budget; after Measure, where the user wants it so."""

    title: str = "Commit"

    def skip(self, job: Job) -> str | None:
        """Never: a reading that is not within budget ends the deployment, also where nothing was changed."""
        return None

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The one script, where something was changed."""
        return (commit_script(job),) if job.switched or (job.facts and job.known.installed.guarded) else ()

    def run(self, job: Job, observer: Observer) -> str:
        """Raises OverBudget where the verdict is not PASS."""
        verdict = job.verdict
        if verdict is None or verdict.outcome is not Outcome.PASS:
            reason = verdict.reason if verdict else "there is no reading"
            code = verdict.outcome.exit_code if verdict else Outcome.NOT_MEASURED.exit_code
            raise OverBudget(f"the reading does not let it stay: {reason}", job.transport.host, code)
        if not (job.switched or job.known.installed.guarded):
            return "nothing was changed, and the reading is within budget"
        stand_by(job, observer)
        return "the reading is within budget: the new release stays"

    def undo(self, job: Job) -> None:
        """Nothing was changed."""


def stand_by(job: Job, observer: Observer) -> None:
    """From here on the new release stays. Raises NotReady where the guard on the board was faster."""
    script = commit_script(job)
    completed = attempt(job, script)
    if completed.exit_status == PUT_BACK_STATUS:
        problem = "the board has heard nothing for too long, and has put back what ran before"
        raise NotReady(problem, job.transport.host, log=log_tail(job.transport, job.service))
    if completed.exit_status != 0:
        raise failed(script, completed, job.transport.host)
    job.committed, job.locked = True, False
    if said := clean(completed.stdout).strip():
        observer.note(said)


def commit_script(job: Job) -> Script:
    """Stand the guard down, drop the releases that nothing points at any more, and let go of the board."""
    layout, service = job.layout, job.service
    staged = (layout.config, layout.ca_file, *(text.path for text in service.texts()))
    return commit(layout, unneeded(job.known.installed, job.release_id), service.drop(staged).text.strip())
