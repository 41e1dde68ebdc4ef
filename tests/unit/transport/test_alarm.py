"""Deadlines: what passes in time is never acted on, what does not is, and many cost one thread."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

from deploy.transport.alarm import Alarm


def test_only_what_takes_too_long_is_acted_on_and_in_its_time() -> None:
    alarm, acted = Alarm(), []
    began_s = time.monotonic()
    with alarm.after(60.0, lambda: acted.append("later")), alarm.after(0.05, lambda: acted.append("now")):
        until_s = began_s + 5
        while not acted and time.monotonic() < until_s:
            time.sleep(0.005)
        assert acted == ["now"] and time.monotonic() - began_s >= 0.05
    with alarm.after(0.05, lambda: acted.append("met")):
        pass
    time.sleep(0.15)
    assert acted == ["now"]


def test_an_act_that_hangs_holds_up_no_other() -> None:
    alarm, hangs, acted = Alarm(), threading.Event(), threading.Event()
    with alarm.after(0.01, lambda: hangs.wait(10) and None), alarm.after(0.03, acted.set):
        assert acted.wait(5)
    hangs.set()


def test_hundreds_cost_one_thread_which_ends() -> None:
    alarm, before = Alarm(), set(threading.enumerate())  # of which some may be about to end
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(alarm.after(30.0, lambda: None))
        assert len(set(threading.enumerate()) - before) == 1
    with alarm.after(0.01, lambda: None):
        time.sleep(0.05)
    until_s = time.monotonic() + 5
    while (new := set(threading.enumerate()) - before) and time.monotonic() < until_s:
        time.sleep(0.02)
    assert not new
