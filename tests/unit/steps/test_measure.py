"""The step Measure notes the reading and its verdict; the smaller parts of a step: what must succeed, and the log."""

from __future__ import annotations

import pytest
from readings import proven, sample
from scripted_boards import BLANK, LOG, Silent, job_on

from deploy.errors import CommandFailed, ConnectionLost, NotMeasured
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.verdict import Budget, Outcome, Verdict
from deploy.service.detached import Detached
from deploy.steps.asking import must
from deploy.steps.face import Job, Observer
from deploy.steps.logs import log_tail
from deploy.steps.measure import Measure
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Script

READING = proven(sample(3000), sample(3001), kind="live")


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome.PASS, "live reading, 2 samples: PASS"),
        (Outcome.FAIL, "live reading, 2 samples: FAIL"),
        (Outcome.NOT_MEASURED, "NOT MEASURED"),
    ],
)
def test_the_verdict_is_noted_and_no_figure_stands_in_the_line(outcome: Outcome, line: str) -> None:
    job, board = job_on(BLANK, None)
    verdict = Verdict(outcome, "for a reason", Budget())
    step = Measure(lambda job, observer: (READING, verdict))
    assert step.skip(job) is None
    assert step.commands(job) == ()
    assert step.run(job, Silent()) == line
    assert (job.reading, job.verdict) == (READING, verdict)
    step.undo(job)
    assert board.round_trips == 0


def test_a_reading_that_can_not_be_taken_leaves_no_verdict() -> None:
    def take(job: Job, observer: Observer) -> tuple[object, object]:
        raise NotMeasured("no proof")

    job, _ = job_on(BLANK, None)
    with pytest.raises(NotMeasured):
        Measure(take).run(job, Silent())  # type: ignore[arg-type]
    assert (job.reading, job.verdict) == (None, None)


@pytest.mark.parametrize(
    ("ended", "problem"),
    [
        (Completed(1, b"out\n", b"first\nthe cause \n\n", 0.0), "could not do it: the cause"),
        (Completed(1, b"only this\n", b"", 0.0), "could not do it: only this"),
        (Completed(7, b"", b" \n", 0.0), "could not do it (status 7)"),
        (Completed(-9, b"", b"", 0.0), "could not do it (status -9)"),
        (Completed(1, b"", b"\x1b[31mred\x1b[0m\x07\n", 0.0), "could not do it: \\x1b[31mred\\x1b[0m\\x07"),
    ],
)
def test_a_script_that_has_to_succeed_and_does_not_says_why(ended: Completed, problem: str) -> None:
    _, board = job_on(BLANK, None, {"do it": ended})
    with pytest.raises(CommandFailed) as caught:
        must(board, Script("do it", "false"))
    assert caught.value.problem == problem
    assert (caught.value.host, caught.value.exit_status) == ("root@board", ended.exit_status)
    assert "\x1b" not in caught.value.stdout + caught.value.stderr


def test_the_log_is_made_safe_to_show_and_its_loss_hides_nothing() -> None:
    _, board = job_on(BLANK, None, {LOG: [b"\x1b]0;title\x07line\n", ConnectionLost("gone")]})
    layout = Layout("/opt/picoclaw")
    assert log_tail(board, Detached(layout, Limits())) == "\\x1b]0;title\\x07line\n"
    assert log_tail(board, Detached(layout, Limits())) == ""


def test_the_end_of_the_log_goes_on_over_a_rotation(tmp_path: object) -> None:
    layout = Layout(f"{tmp_path}/a folder's")
    board = LocalTransport()
    script = Detached(layout, Limits()).log(3)
    assert not script.changes
    assert board.run(script).stdout == b""
    made = 'mkdir -p "$1"; printf \'1\\n2\\n\' >"$1/gateway.log.1"; printf \'3\\n4\\n\' >"$1/gateway.log"\n'
    board.run(Script("write", f"set -- '{layout.log.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}'\n{made}"))
    assert board.run(script).stdout == b"2\n3\n4\n"
