"""The step Start: skipped where the very same runs already, one switch otherwise, and put back as it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_boards import (
    BLANK,
    CONFIG,
    DROP_STAGED,
    LOG,
    NEW_PROCESS,
    OLD,
    OLDER,
    PREFIX,
    RESTORE,
    SUPERVISOR,
    SWITCH,
    Silent,
    artifact_in,
    bare,
    deployed,
    good_answers,
    job_on,
    older,
    plan_of,
)

from deploy.errors import BadAnswer, CommandFailed, ConnectionLost, NotReady, Refused
from deploy.model.artifact import Artifact
from deploy.model.facts import HostFacts, Installed, Running
from deploy.model.limits import Limits
from deploy.model.reading import Process
from deploy.service.face import CHANGED_MEANWHILE_STATUS, NOT_OURS_STATUS
from deploy.steps.configure import Configure
from deploy.steps.start import Start, parse_pid_file
from deploy.transport.protocol import Completed, Script

TEXTS = [f"{PREFIX}/run/supervise", f"{PREFIX}/run/manager"]
DONE = Completed(0, b"", b"", 0.0)
FAILED = Completed(1, b"", b"the gateway did not stay up\n", 0.0)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return artifact_in(tmp_path)


def test_what_runs_already_under_these_limits_is_not_started_anew(artifact: Artifact) -> None:
    job, board = job_on(deployed(artifact, plan_of()), artifact)
    assert Start().skip(job) == "process 501 runs this release under these limits already"
    assert job.process == NEW_PROCESS
    assert board.round_trips == 0


CHANGES: dict[str, Callable[[Running, Installed], dict[str, Any]]] = {
    "nothing runs": lambda running, held: {"running": None},
    "another binary runs": lambda running, held: {"running": replace(running, exe_sha256="00" * 32)},
    "other limits": lambda running, held: {"running": replace(running, limits=Limits(gogc_percent=21).environment())},
    "no limits": lambda running, held: {"running": replace(running, limits={})},
    "nobody restarts it": lambda running, held: {"running": replace(running, supervised=False)},
    "another release is current": lambda running, held: {"installed": replace(held, current=OLD)},
    "another supervisor": lambda running, held: {
        "installed": replace(held, service_sha256=held.service_sha256 | {"run/supervise": "00" * 32})
    },
    "another config": lambda running, held: {"installed": replace(held, config_sha256="00" * 32)},
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_difference_is_enough_to_start_it_anew(artifact: Artifact, what: str) -> None:
    facts = deployed(artifact, plan_of())
    assert facts.running
    job, _ = job_on(replace(facts, **CHANGES[what](facts.running, facts.installed)), artifact)
    assert Start().skip(job) is None
    assert job.process is None


def test_what_is_not_built_yet_does_not_run(artifact: Artifact) -> None:
    job, _ = job_on(deployed(artifact, plan_of()), None)
    assert Start().skip(job) is None


def test_what_runs_is_what_the_dry_run_shows_after_configure(artifact: Artifact) -> None:
    job, board = job_on(older(), artifact, good_answers(artifact, plan_of(), older()))
    shown = (*Configure().commands(job), *Start().commands(job))
    Configure().run(job, Silent())
    detail = Start().run(job, Silent())
    assert tuple(map(bare, board.scripts)) == shown
    assert board.titles == [CONFIG, SUPERVISOR, SWITCH]
    assert detail == (
        "process 501 of root (its /etc/passwd can't be written), GOMEMLIMIT=5MiB GOGC=20 GOMAXPROCS=1, "
        "restarted when it ends, but not after a reboot: "
        "its init is none that we know"
    )
    assert job.process == NEW_PROCESS
    assert job.staged == [f"{PREFIX}/config.json", *TEXTS]


def test_the_supervisor_is_written_only_where_its_text_differs(artifact: Artifact) -> None:
    facts = replace(deployed(artifact, plan_of()), running=None)
    job, board = job_on(facts, artifact, good_answers(artifact, plan_of(), facts))
    shown = Start().commands(job)
    Start().run(job, Silent())
    assert tuple(map(bare, board.scripts)) == shown
    assert board.titles == [SWITCH]


def test_the_release_of_before_becomes_previous_unless_it_is_the_same(artifact: Artifact) -> None:
    def switch(facts: HostFacts) -> str:
        job, _ = job_on(facts, artifact)
        script = Start().commands(job)[-1]
        assert isinstance(script, Script)
        return script.text.rpartition("gateway.log 2>&1 &\n")[2]  # the guard's own text is before that

    assert f"switch_link releases/{OLD} {PREFIX}/previous" in switch(older())
    assert f"{PREFIX}/previous" not in switch(deployed(artifact, plan_of()))
    assert f"{PREFIX}/previous" not in switch(BLANK)


def test_a_gateway_that_does_not_stay_up_is_not_ready_and_its_log_is_shown(artifact: Artifact) -> None:
    answers = good_answers(artifact, plan_of(), older()) | {SWITCH: FAILED}
    job, board = job_on(older(), artifact, answers)
    with pytest.raises(NotReady, match="the gateway did not stay up") as caught:
        Start().run(job, Silent())
    assert caught.value.log == "the log's last line\n"
    assert board.titles == [SUPERVISOR, SWITCH, LOG]
    assert job.switched


def test_a_board_that_another_deployment_has_switched_is_left_to_it(artifact: Artifact) -> None:
    answers = good_answers(artifact, plan_of(), older()) | {SWITCH: Completed(CHANGED_MEANWHILE_STATUS, b"", b"", 0.0)}
    job, board = job_on(older(), artifact, answers)
    with pytest.raises(Refused, match="another deployment has changed this board") as caught:
        Start().run(job, Silent())
    assert caught.value.reason == "changed_meanwhile"
    Start().undo(job)
    assert board.titles == [SUPERVISOR, SWITCH, DROP_STAGED]


def test_a_service_of_our_name_that_is_somebody_elses_is_left_to_them(artifact: Artifact) -> None:
    answers = good_answers(artifact, plan_of(), older()) | {SWITCH: Completed(NOT_OURS_STATUS, b"", b"", 0.0)}
    job, board = job_on(older(), artifact, answers)
    with pytest.raises(Refused, match="a service picoclaw is on this board already, and it is not ours") as caught:
        Start().run(job, Silent())
    assert caught.value.reason == "service_taken"
    Start().undo(job)
    assert board.titles == [SUPERVISOR, SWITCH, DROP_STAGED]


def test_a_log_that_can_not_be_had_hides_nothing(artifact: Artifact) -> None:
    answers = good_answers(artifact, plan_of(), older()) | {SWITCH: FAILED, LOG: ConnectionLost("gone")}
    job, _ = job_on(older(), artifact, answers)
    with pytest.raises(NotReady) as caught:
        Start().run(job, Silent())
    assert caught.value.log == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_amid_the_switch_waits_until_the_board_has_answered(
    artifact: Artifact, number: signal.Signals
) -> None:
    ended: list[str] = []

    def interrupted(script: Script) -> bytes:
        os.kill(os.getpid(), number)
        ended.append(script.title)
        return b"501 90001\n"

    job, board = job_on(older(), artifact, good_answers(artifact, plan_of(), older()) | {SWITCH: interrupted})
    with pytest.raises(KeyboardInterrupt):
        Start().run(job, Silent())
    assert ended == [SWITCH]
    assert job.switched
    Start().undo(job)
    assert board.titles == [SUPERVISOR, SWITCH, RESTORE]


def test_undo_before_the_switch_removes_what_waits(artifact: Artifact) -> None:
    job, board = job_on(older(), artifact, {SUPERVISOR: FAILED, DROP_STAGED: DONE})
    with pytest.raises(CommandFailed):
        Start().run(job, Silent())
    assert not job.switched
    Start().undo(job)
    assert board.titles == [SUPERVISOR, DROP_STAGED]
    assert bare(board.scripts[-1]).text == f"rm -f {' '.join(f'{path}.next {path}.next.part' for path in TEXTS)}\n"


@pytest.mark.parametrize("runs", [True, False])
def test_undo_after_the_switch_puts_back_the_release_and_its_state(artifact: Artifact, runs: bool) -> None:
    job, board = job_on(older(runs=runs), artifact, good_answers(artifact, plan_of(), older()))
    Configure().run(job, Silent())
    Start().run(job, Silent())
    Start().undo(job)
    (restore,) = [script for script in board.scripts if script.title == RESTORE]
    staged = [f"{PREFIX}/config.json", *TEXTS]
    assert bare(restore) == job.service.restore(OLD, previous=OLDER, staged=staged, was_running=runs)
    assert restore.text.rstrip().endswith("start_gateway") == runs


def test_undo_of_a_first_deployment_leaves_nothing_running(artifact: Artifact) -> None:
    job, board = job_on(BLANK, artifact, good_answers(artifact, plan_of(), BLANK))
    Start().run(job, Silent())
    Start().undo(job)
    assert bare(board.scripts[-1]) == job.service.restore(None, previous=None, staged=TEXTS, was_running=False)


def test_an_undo_that_fails_says_so(artifact: Artifact) -> None:
    job, _ = job_on(older(), artifact, good_answers(artifact, plan_of(), older()) | {RESTORE: FAILED})
    Start().run(job, Silent())
    with pytest.raises(CommandFailed, match="could not put back what ran before"):
        Start().undo(job)


def test_the_pid_file_is_the_last_line_of_what_the_board_prints() -> None:
    assert parse_pid_file(b"a banner of 2 words\n12 345\n\n") == Process(12, 345)


@pytest.mark.parametrize(
    "stdout", [b"", b"12\n", b"12 345 6\n", b"a b\n", b"-1 5\n", b"\xff\xfe 1\n", b"12 345\nbye\n"]
)
def test_anything_else_is_no_pid_file(stdout: bytes) -> None:
    with pytest.raises(BadAnswer, match="which process it started"):
        parse_pid_file(stdout)
