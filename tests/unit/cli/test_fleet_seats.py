"""How many hosts of a fleet are logged in to at the same time, whatever `--at-once` allows to be worked on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.cli import reaching
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.seats import LOGINS_AT_ONCE, seated
from deploy.errors import Unreachable
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.transport.scripted import ScriptedTransport

COUNT = 2 * LOGINS_AT_ONCE


def member(number: int) -> Member:
    return Member(f"e{number}", Host(f"192.0.2.{number}", "root"), "licheerv")


def test_logins_are_bounded_and_those_who_are_in_wait_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    most_are_in = threading.Barrier(LOGINS_AT_ONCE)
    all_are_seated = threading.Barrier(COUNT)
    lock, at_it, most = threading.Lock(), 0, 0

    def connect(*_: object, **__: object) -> ScriptedTransport:
        nonlocal at_it, most
        with lock:
            at_it += 1
            most = max(most, at_it)
        most_are_in.wait(60)  # so many do come in at once
        with lock:
            at_it -= 1
        return ScriptedTransport({})

    def work(number: int) -> None:
        with seated(Order(), member(number)):
            all_are_seated.wait(60)  # who is logged in takes nobody's place

    monkeypatch.setattr(reaching, "connect", connect)
    with ThreadPoolExecutor(COUNT) as executor:
        list(executor.map(work, range(COUNT)))
    assert most == LOGINS_AT_ONCE


def test_a_host_that_can_not_be_reached_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> ScriptedTransport:
        raise Unreachable("nobody is there", "root@192.0.2.1")

    monkeypatch.setattr(reaching, "connect", connect)
    for number in range(LOGINS_AT_ONCE + 1):
        with pytest.raises(Unreachable), seated(Order(), member(number)):
            pass
