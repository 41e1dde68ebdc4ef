"""What must not be left half done is finished first; a Ctrl-C, TERM or HUP that came meanwhile is raised at its end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from deploy.interrupts import ENDING, held_interrupts, noted_interrupts

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(Exception):
    """What the handler of these tests makes of a TERM."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A TERM or HUP raises here, instead of ending the test run; afterwards all is as it was."""

    def terminated(number: int, frame: object) -> None:
        raise Terminated

    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGHUP, terminated)  # a run under nohup ignores it
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_until_the_end_and_is_raised_there(number: signal.Signals) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        os.kill(os.getpid(), number)
        done.append("first")
        os.kill(os.getpid(), number)
        done.append("second")
    assert done == ["first", "second"]


def test_without_a_signal_nothing_is_raised_and_the_handlers_are_the_ones_of_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with held_interrupts():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(Terminated):
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_come_back_after_a_signal_and_after_a_problem() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(ValueError, match="the problem"), held_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("the problem")
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with held_interrupts():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_one_inside_another_holds_until_the_outer_one_ends() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        with pytest.raises(KeyboardInterrupt), held_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("inner")
        os.kill(os.getpid(), signal.SIGINT)
        done.append("outer")
    assert done == ["inner", "outer"]


def test_a_thread_where_python_delivers_no_signals_is_left_in_peace() -> None:
    done: list[str] = []

    def work() -> None:
        with held_interrupts():
            done.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert done == ["worked"]


def test_the_first_signal_is_only_noted_and_told_and_the_second_is_raised() -> None:
    told: list[str] = []
    before = {number: signal.getsignal(number) for number in ENDING}
    with pytest.raises(KeyboardInterrupt), noted_interrupts(lambda: told.append("ending")) as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGTERM)
        assert interrupted() and told == ["ending"]
        signal.raise_signal(signal.SIGINT)
    assert told == ["ending"]
    assert {number: signal.getsignal(number) for number in ENDING} == before
