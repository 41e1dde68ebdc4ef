"""The step Commit: the reading decides whether the new release stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_boards import COMMIT, NEW_PROCESS, Silent, artifact_in, good_answers, job_on, older, plan_of

from deploy.errors import OverBudget
from deploy.model.verdict import Budget, Outcome, Verdict
from deploy.pipeline import GATED_GUARD_S, deployment
from deploy.steps.commit import Commit
from deploy.steps.face import Job
from deploy.steps.start import Start
from deploy.steps.verify import Verify
from deploy.transport.scripted import ScriptedTransport


def switched(tmp_path: Path, verdict: Verdict | None) -> tuple[Job, ScriptedTransport]:
    artifact = artifact_in(tmp_path)
    job, board = job_on(older(), artifact, good_answers(artifact, plan_of(), older()))
    job.switched, job.process, job.verdict = True, NEW_PROCESS, verdict
    return job, board


def test_a_reading_within_budget_lets_the_release_stay(tmp_path: Path) -> None:
    job, board = switched(tmp_path, Verdict(Outcome.PASS, "it fits", Budget()))
    assert Commit().run(job, Silent()) == "the reading is within budget: the new release stays"
    assert board.titles == [COMMIT]
    assert job.committed


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict(Outcome.FAIL, "6,000 KiB is over 5,120", Budget()), 1),
        (Verdict(Outcome.NOT_MEASURED, "6,000 KiB is over 5,120", Budget()), 3),
    ],
)
def test_any_other_does_not_and_its_exit_code_is_the_verdicts(tmp_path: Path, verdict: Verdict, code: int) -> None:
    job, board = switched(tmp_path, verdict)
    with pytest.raises(OverBudget, match="does not let it stay: 6,000 KiB is over 5,120") as caught:
        Commit().run(job, Silent())
    assert caught.value.exit_code == code
    assert board.titles == []
    assert not job.committed


def test_without_a_reading_nothing_stays(tmp_path: Path) -> None:
    job, _ = switched(tmp_path, None)
    with pytest.raises(OverBudget, match="there is no reading"):
        Commit().run(job, Silent())


def test_the_guard_waits_for_the_reading_where_that_decides() -> None:
    steps = deployment(lambda *_: pytest.fail("nothing is read here"), gate=True)
    assert [step.title for step in steps][-3:] == ["Verify", "Measure", "Commit"]
    verify = next(step for step in steps if isinstance(step, Verify))
    assert not verify.commits
    assert next(step for step in steps if isinstance(step, Start)).guard_s == GATED_GUARD_S
