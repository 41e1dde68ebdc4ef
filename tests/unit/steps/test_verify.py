"""The step Verify: it waits twice, takes nobody's word for the process, and commits; then old releases go."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from scripted_boards import (
    COMMIT,
    LOG,
    LOOK,
    NEW_PROCESS,
    OLD,
    OLDER,
    OLDEST,
    PREFIX,
    Silent,
    artifact_in,
    bare,
    deployed,
    good_answers,
    health,
    job_on,
    older,
    plan_of,
    ready,
    running_release,
    seen,
    without_nonce,
)

from deploy.board_shell.lock import LOCKED_STATUS
from deploy.errors import ConnectionLost, DeadlineExceeded, ForwardRefused, HostError, NotReady, Refused
from deploy.model.artifact import Artifact
from deploy.model.facts import Installed, Running
from deploy.model.limits import Limits
from deploy.model.reading import Process
from deploy.service.guard import PUT_BACK_STATUS
from deploy.steps.face import Job
from deploy.steps.verify import PAUSE_S, READY_WITHIN_S, SETTLE_S, Verify
from deploy.transport.protocol import Completed, Script
from deploy.transport.scripted import ScriptedTransport


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now_s: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def step(self) -> Verify:
        return Verify(clock=lambda: self.now_s, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return artifact_in(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def dropped(board: ScriptedTransport) -> str:
    """The folders that the last script removes."""
    return "".join(re.findall(r"^rm -rf (.*) \|\|", bare(board.scripts[-1]).text, re.MULTILINE))


def switched(artifact: Artifact, requests: list[bytes | Exception], **answers: Any) -> tuple[Job, ScriptedTransport]:
    """A deployment that has just started the new release."""
    all_answers = good_answers(artifact, plan_of(), older()) | answers
    job, board = job_on(older(), artifact, all_answers, requests=requests)
    job.switched, job.process = True, NEW_PROCESS
    return job, board


def test_ready_and_still_ready_commits_and_drops_what_nothing_points_at(artifact: Artifact, clock: Clock) -> None:
    job, board = switched(artifact, [ready()])
    shown = clock.step().commands(job)
    detail = clock.step().run(job, Silent())
    assert [without_nonce(bare(each)) for each in board.scripts] == [
        without_nonce(each) for each in shown if isinstance(each, Script)
    ]
    assert board.titles == [LOOK, COMMIT]
    assert dropped(board) == f"{PREFIX}/releases/{OLDEST} {PREFIX}/releases/{OLDER}"
    assert clock.slept == [SETTLE_S]
    assert job.committed
    assert detail == "/ready answers on port 8080, the same process for 2 s, limits in force"
    ((port, question),) = board.requested
    assert (port, question.split(b"\r\n")[0]) == (8080, b"GET /ready HTTP/1.1")


def test_the_same_release_started_anew_keeps_the_one_before_it(artifact: Artifact, clock: Clock) -> None:
    facts = deployed(artifact, plan_of())
    held = replace(facts.installed, releases=facts.installed.releases | {OLDEST: ""}, service_sha256={})
    job, board = switched(artifact, [ready()])
    job.facts = replace(facts, installed=held)
    clock.step().run(job, Silent())
    assert dropped(board) == f"{PREFIX}/releases/{OLDEST}"


def test_without_old_releases_nothing_is_removed(artifact: Artifact, clock: Clock) -> None:
    job, board = switched(artifact, [ready()])
    job.facts = replace(older(), installed=Installed(OLD, "", {OLD: "cd" * 32}, "", "", {}))
    assert [each.title for each in clock.step().commands(job)] == [LOOK, COMMIT]
    clock.step().run(job, Silent())
    assert board.titles == [LOOK, COMMIT]
    assert dropped(board) == ""


def test_a_deployment_that_changes_nothing_asks_once_and_waits_for_nothing(artifact: Artifact, clock: Clock) -> None:
    job, board = job_on(deployed(artifact, plan_of()), artifact, requests=[ready()])
    detail = clock.step().run(job, Silent())
    assert (board.round_trips, board.titles, clock.slept) == (1, [], [])
    assert job.committed
    assert detail == "/ready answers on port 8080; 3 messages received and 2 sent so far"


def under_a_guard(artifact: Artifact, *answers: Any) -> tuple[Job, ScriptedTransport]:
    """The release runs already, and the guard of the deployment that brought it is not stood down yet."""
    facts = deployed(artifact, plan_of())
    facts = replace(facts, installed=replace(facts.installed, guarded=True))
    all_answers = good_answers(artifact, plan_of(), facts) | dict(answers)
    return job_on(facts, artifact, all_answers, requests=[ready()])


def test_what_a_killed_deployment_left_running_is_stood_by_before_its_guard_puts_it_back(
    artifact: Artifact, clock: Clock
) -> None:
    job, board = under_a_guard(artifact)
    assert COMMIT in [each.title for each in clock.step().commands(job)]
    clock.step().run(job, Silent())
    assert board.titles == [COMMIT] and job.committed


def test_what_another_deployment_is_still_bringing_is_not_called_unchanged(artifact: Artifact, clock: Clock) -> None:
    held = Completed(LOCKED_STATUS, b"locked 1700000000 90 you@there\n", b"", 0.0)
    job, _ = under_a_guard(artifact, (COMMIT, held))
    with pytest.raises(Refused, match="you@there has been changing this board"):
        clock.step().run(job, Silent())
    assert not job.committed


def test_a_guard_that_was_faster_than_the_deployment_that_goes_on_is_believed(artifact: Artifact, clock: Clock) -> None:
    job, _ = under_a_guard(artifact, (COMMIT, Completed(PUT_BACK_STATUS, b"", b"", 0.0)))
    with pytest.raises(NotReady, match="has put back what ran before"):
        clock.step().run(job, Silent())
    assert not job.committed


def test_the_dry_run_of_a_deployment_that_changes_nothing_removes_nothing(artifact: Artifact, clock: Clock) -> None:
    facts = deployed(artifact, plan_of())
    held = replace(facts.installed, releases=facts.installed.releases | {OLDEST: ""})
    job, _ = job_on(replace(facts, installed=held), artifact)
    assert all(isinstance(each, Script) and not each.changes for each in clock.step().commands(job))


def test_it_waits_while_the_gateway_is_connecting_and_says_what_for(artifact: Artifact, clock: Clock) -> None:
    job, _ = switched(artifact, [ready("connecting"), ready("error", "no route"), ready()])
    observer = Silent()
    clock.step().run(job, observer)
    assert clock.slept == [PAUSE_S, PAUSE_S, SETTLE_S]
    assert observer.notes == [
        "waiting until it is ready: Telegram has not answered yet",
        "waiting until it is ready: Telegram can't be reached (no route)",
        "ready; settling for 2 s",
    ]


def test_it_waits_so_long_and_no_longer_and_shows_the_log(artifact: Artifact, clock: Clock) -> None:
    answers = [ready("error", "timeout")] * 1000
    job, _ = switched(artifact, list(answers))
    with pytest.raises(NotReady, match=r"not ready after 30 s: Telegram can't be reached \(timeout\)") as caught:
        clock.step().run(job, Silent())
    assert caught.value.log == "the log's last line\n"
    assert READY_WITHIN_S <= sum(clock.slept) < READY_WITHIN_S + 2 * PAUSE_S
    assert not job.committed


def test_ready_at_the_very_last_look_is_ready(artifact: Artifact, clock: Clock) -> None:
    job, _ = switched(artifact, [ready("connecting"), ready()])
    step = replace(clock.step(), sleep=lambda s: clock.sleep(READY_WITHIN_S))
    step.run(job, Silent())
    assert job.committed


def test_a_refused_token_ends_the_wait_at_once(artifact: Artifact, clock: Clock) -> None:
    job, _ = switched(artifact, [ready("unauthorized", "401")])
    with pytest.raises(NotReady, match=r"Telegram refuses the token \(401\)") as caught:
        clock.step().run(job, Silent())
    assert clock.slept == []
    assert caught.value.log


def test_something_else_on_the_port_is_waited_out_and_then_named(artifact: Artifact, clock: Clock) -> None:
    job, _ = switched(artifact, [b"SSH-2.0-dropbear\r\n"] * 1000)
    with pytest.raises(NotReady, match="what listens on the health port does not speak HTTP"):
        clock.step().run(job, Silent())


@pytest.mark.parametrize("prohibited", [True, False])
def test_where_nothing_is_forwarded_the_binary_itself_is_asked(
    artifact: Artifact, clock: Clock, prohibited: bool
) -> None:
    job, board = switched(artifact, [ForwardRefused("no", "root@board", prohibited=prohibited)])
    clock.step().run(job, Silent())
    assert board.titles == [LOOK, LOOK, COMMIT]
    assert len(board.requested) == 1
    assert job.committed


def test_a_gateway_that_was_ready_and_is_not_any_more_is_not_ready(artifact: Artifact, clock: Clock) -> None:
    late = seen(running_release(artifact, plan_of()), health("conflict", "409"))
    job, _ = switched(artifact, [ready()], **{LOOK: late})
    with pytest.raises(NotReady, match="was ready and is not any more: Telegram gives the messages to another"):
        clock.step().run(job, Silent())
    assert not job.committed


FOREIGN: dict[str, tuple[Callable[[Running], Running | None], str]] = {
    "ended": (lambda running: None, "the gateway has ended"),
    "restarted": (lambda running: replace(running, process=Process(502, 1)), "ended and was started again"),
    "same PID, later": (
        lambda running: replace(running, process=Process(NEW_PROCESS.pid, 1)),
        "ended and was started again",
    ),
    "another binary": (
        lambda running: replace(running, exe_sha256="00" * 32),
        "process 501 runs another binary than the artifact",
    ),
    "other limits": (
        lambda running: replace(running, limits=Limits(gogc_percent=100).environment()),
        "the limits did not reach the process",
    ),
    "no limits": (lambda running: replace(running, limits={}), "the limits did not reach the process"),
}


@pytest.mark.parametrize("forwards", [True, False])
@pytest.mark.parametrize("what", FOREIGN)
def test_the_process_that_answers_has_to_be_the_one_that_was_started(
    artifact: Artifact, clock: Clock, what: str, forwards: bool
) -> None:
    change, problem = FOREIGN[what]
    job, _ = switched(
        artifact,
        [ready()] if forwards else [],
        **{LOOK: seen(change(running_release(artifact, plan_of())))},
    )
    with pytest.raises(NotReady, match=problem) as caught:
        clock.step().run(job, Silent())
    assert caught.value.host == "root@board"
    assert not job.committed


@pytest.mark.parametrize("error", [ConnectionLost("gone"), DeadlineExceeded("late")])
def test_a_lost_link_is_not_waited_for(artifact: Artifact, clock: Clock, error: Exception) -> None:
    job, _ = switched(artifact, [error])
    with pytest.raises(type(error)):
        clock.step().run(job, Silent())
    assert not job.committed


def test_old_releases_that_stay_are_noted_and_no_reason_to_fail(artifact: Artifact, clock: Clock) -> None:
    job, _ = switched(artifact, [ready()], **{COMMIT: Completed(0, b"could not remove 0bad\n", b"I/O error", 0.0)})
    observer = Silent()
    clock.step().run(job, observer)
    assert job.committed
    assert observer.notes[-1] == "could not remove 0bad"


@pytest.mark.parametrize("problem", [Completed(1, b"", b"I/O error", 0.0), ConnectionLost("I/O error")])
def test_a_guard_that_could_not_be_stood_down_leaves_the_deployment_open(
    artifact: Artifact, clock: Clock, problem: Any
) -> None:
    job, _ = switched(artifact, [ready()], **{COMMIT: problem})
    with pytest.raises(HostError, match="I/O error"):
        clock.step().run(job, Silent())
    assert not job.committed


def test_a_guard_that_has_put_everything_back_is_believed(artifact: Artifact, clock: Clock) -> None:
    job, _ = switched(artifact, [ready()], **{COMMIT: Completed(PUT_BACK_STATUS, b"", b"", 0.0)})
    with pytest.raises(NotReady, match="has heard nothing for too long, and has put back what ran before"):
        clock.step().run(job, Silent())
    assert not job.committed


def test_only_releases_are_removed_and_no_other_folders_beside_them(artifact: Artifact, clock: Clock) -> None:
    job, board = switched(artifact, [ready()])
    others = {"": "", "..": "", "keep me": "", OLD.upper(): "", OLD + "0": "", "*": ""}
    job.facts = replace(older(), installed=replace(older().installed, releases=others | {OLDEST: ""}))
    clock.step().run(job, Silent())
    assert dropped(board) == f"{PREFIX}/releases/{OLDEST}"


def test_the_log_may_be_empty(artifact: Artifact, clock: Clock) -> None:
    job, _ = switched(artifact, [ready("unauthorized")], **{LOG: ConnectionLost("gone")})
    with pytest.raises(NotReady) as caught:
        clock.step().run(job, Silent())
    assert caught.value.log == ""


def without_health(artifact: Artifact, **answers: Any) -> tuple[Job, ScriptedTransport]:
    """A gateway with the tag nohealth that was just started: there is nothing to ask."""
    job, board = switched(artifact, [], **answers)
    job.plan = replace(job.plan, source=replace(job.plan.source, tags=("telegram", "smallbuf", "nohealth")))
    return job, board


def test_a_gateway_without_a_health_port_has_to_run_on_and_is_said_not_to_be_asked(
    artifact: Artifact, clock: Clock
) -> None:
    job, board = without_health(artifact)
    shown = clock.step().commands(job)
    assert "status --json" not in shown[0].text and isinstance(shown[0], Script)
    detail = clock.step().run(job, Silent())
    assert detail == (
        "the same process for 2 s, limits in force; built with nohealth, it has no /ready to ask: "
        "whether Telegram answers, its log tells"
    )
    assert job.committed and clock.slept == [SETTLE_S]
    assert not any("status --json" in script.text for script in board.scripts)


def test_a_gateway_without_a_health_port_that_ends_is_not_taken_for_one_that_runs(
    artifact: Artifact, clock: Clock
) -> None:
    job, _ = without_health(artifact, **{LOOK: seen(None)})
    with pytest.raises(NotReady, match="has ended"):
        clock.step().run(job, Silent())
    assert not job.committed


def test_it_is_never_skipped_and_its_undo_asks_nothing(artifact: Artifact) -> None:
    job, board = job_on(deployed(artifact, plan_of()), artifact)
    assert Verify().skip(job) is None
    Verify().undo(job)
    assert board.round_trips == 0
