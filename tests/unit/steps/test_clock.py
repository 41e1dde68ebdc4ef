"""A clock that is off is set where that was asked for, read back, and refused where it did not take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scripted_boards import ASK, BLANK, NOW_S, Silent, artifact_in, good_answers, job_on, plan_of

from deploy.cli.cures import cure
from deploy.errors import Refused
from deploy.pipeline import DEPLOY, carry_out, deployment, rehearse
from deploy.steps.clock import TOOK_S, SetClock
from deploy.steps.preflight import CLOCK_TOLERANCE_S, Preflight
from deploy.transport.protocol import Completed

AT_1970 = replace(BLANK, clock_s=42)
SET, LET_GO = "set the clock", "let go of the board"
STEPS = (Preflight(now=lambda: NOW_S), SetClock(now=lambda: NOW_S))
ASKED = replace(plan_of(), set_clock=True)


def test_it_is_part_of_a_deployment_only_where_it_was_asked_for_and_comes_before_the_build() -> None:
    assert deployment(None) == DEPLOY
    assert [step.title for step in deployment(None, set_clock=True)][:3] == ["Preflight", "Clock", "Build"]


def test_a_clock_at_1970_is_set_and_read_back(tmp_path: Path) -> None:
    answers = good_answers(artifact_in(tmp_path), ASKED, AT_1970) | {LET_GO: b"", SET: f"clock {NOW_S + 3}\n".encode()}
    job, board = job_on(None, None, answers, ASKED)
    records = carry_out(STEPS, job, Silent())
    assert board.titles == [ASK, SET, LET_GO]
    assert "take_lock" in board.scripts[1].text, "nobody sets the clock while another deploys"
    assert "date -u -s '2025-10-09 08:53:20'" in board.scripts[1].text
    assert records[1].detail.startswith("it said 1970-01-01, and says 2025-10-09 now")
    assert job.known.clock_s == NOW_S + 3


@pytest.mark.parametrize("off_s", [-CLOCK_TOLERANCE_S, 0, CLOCK_TOLERANCE_S])
def test_a_clock_that_is_right_to_a_day_is_left_alone(off_s: int, tmp_path: Path) -> None:
    facts = replace(BLANK, clock_s=NOW_S + off_s)
    job, board = job_on(None, None, good_answers(artifact_in(tmp_path), ASKED, facts), ASKED)
    records = carry_out(STEPS, job, Silent())
    assert board.titles == [ASK]
    assert records[1].skipped == "the board's clock is right to a day"


@pytest.mark.parametrize("says_s", [42, NOW_S - TOOK_S - 1, NOW_S + TOOK_S + 1])
def test_a_clock_that_did_not_take_is_refused_with_what_date_said(says_s: int, tmp_path: Path) -> None:
    told = Completed(0, f"clock {says_s}\n".encode(), b"date: can't set date: Operation not permitted\n", 0.1)
    answers = good_answers(artifact_in(tmp_path), ASKED, AT_1970) | {LET_GO: b"", SET: told}
    job, _ = job_on(None, None, answers, ASKED)
    with pytest.raises(Refused, match=r"still says .* \(date: can\'t set date: Operation not permitted\)") as caught:
        carry_out(STEPS, job, Silent())
    assert caught.value.reason == "clock_not_set"
    assert "root" in cure(caught.value)


def test_without_being_asked_nothing_is_set_and_the_cure_names_the_flag(tmp_path: Path) -> None:
    job, board = job_on(None, None, good_answers(artifact_in(tmp_path), plan_of(), AT_1970))
    with pytest.raises(Refused) as caught:
        carry_out(STEPS, job, Silent())
    assert (caught.value.reason, board.titles) == ("clock_off", [ASK])
    assert "--set-clock" in cure(caught.value)


def test_a_dry_run_shows_it_and_sets_nothing(tmp_path: Path) -> None:
    job, board = job_on(None, None, good_answers(artifact_in(tmp_path), ASKED, AT_1970), ASKED)
    rows = rehearse(STEPS, job, Silent())
    assert board.titles == [ASK]
    assert [command.title for command in rows[1].commands] == [SET]
