"""Whatever ends a deployment, and wherever: what was changed is put back, the board let go of, and both are told."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field

import pytest
from scripted_boards import BLANK, job_on
from scripted_boards import Silent as Observer

from deploy.pipeline import carry_out
from deploy.steps.face import Job, LocalCommand, StepRecord
from deploy.transport.protocol import Script

LET_GO = "let go of the board"


@dataclass
class Changes:
    """A step that changes something, and takes it back."""

    title: str = "Push"
    undone: list[str] = field(default_factory=list)
    at_undo: signal.Signals | None = None
    """What somebody sends while it is taken back."""

    def skip(self, job: Job) -> str | None:
        return None

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        return ()

    def run(self, job: Job, observer: object) -> str:
        job.locked = True
        return "changed"

    def undo(self, job: Job) -> None:
        if self.at_undo is not None:
            os.kill(os.getpid(), self.at_undo)
        self.undone.append(self.title)


class Fails(Observer):
    """Who is told of a step, and ends it all then: Ctrl-C, or a terminal that has gone."""

    def __init__(self, error: BaseException, at: str) -> None:
        super().__init__()
        self._error, self._at = error, at

    def started(self, title: str) -> None:
        if self._at == f"before {title}":
            raise self._error

    def finished(self, record: StepRecord) -> None:
        if self._at == f"after {record.title}":
            raise self._error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "Input/output error")])
@pytest.mark.parametrize("at", ["after Push", "before Start", "after Start"])
def test_what_ends_it_between_two_steps_is_as_what_ends_it_in_one(error: BaseException, at: str) -> None:
    push, start = Changes(), Changes("Start")
    job, board = job_on(BLANK, None, {LET_GO: b""})
    with pytest.raises(type(error)) as ended:
        carry_out((push, start), job, Fails(error, at))
    assert push.undone == ["Push"] and start.undone == (["Start"] if at == "after Start" else [])
    assert board.titles == [LET_GO] and not job.locked
    assert ended.value.__notes__[-1] == ("in step Push" if at == "after Push" else "in step Start")
    error.__notes__.clear()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_ctrl_c_while_it_is_put_back_changes_nothing_of_that(number: signal.Signals) -> None:
    push = Changes(at_undo=number)
    job, board = job_on(BLANK, None, {LET_GO: b""})
    job.switched = True
    with pytest.raises(KeyboardInterrupt) as ended:
        carry_out((push,), job, Fails(KeyboardInterrupt(), "after Push"))
    assert push.undone == ["Push"]
    assert board.titles == [LET_GO] and not job.locked
    assert ended.value.__notes__ == ["in step Push", "nothing ran before: nothing runs now"]


def test_once_it_is_committed_nothing_is_put_back_and_the_board_is_let_go_of_all_the_same() -> None:
    push = Changes()
    job, board = job_on(BLANK, None, {LET_GO: b""})
    job.committed = True
    with pytest.raises(KeyboardInterrupt):
        carry_out((push,), job, Fails(KeyboardInterrupt(), "after Push"))
    assert push.undone == [] and board.titles == [LET_GO]
