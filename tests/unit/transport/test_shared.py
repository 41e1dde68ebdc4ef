"""Things that are shared: opened once, closed after the last, opened anew where they died."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from deploy.errors import SlimdeployError, Unreachable
from deploy.transport.shared import Shared


@dataclass
class Door:
    alive: bool = True
    closed: threading.Event = field(default_factory=threading.Event)


@dataclass
class Doors:
    opened: list[Door] = field(default_factory=list)
    problem: SlimdeployError | None = None

    def open(self) -> Door:
        time.sleep(0.03)
        if self.problem is not None:
            raise self.problem
        self.opened.append(Door())
        return self.opened[-1]


def shared(linger_s: float = 0.05) -> Shared[Door]:
    return Shared(lambda door: door.alive, lambda door: door.closed.set(), linger_s)


def test_many_who_come_at_once_get_the_same_one_and_the_last_closes_it() -> None:
    doors, pool = Doors(), shared()
    with ThreadPoolExecutor(8) as executor:
        taken = list(executor.map(lambda _: pool.take("gate", doors.open), range(8)))
    assert len(doors.opened) == 1 and all(door is doors.opened[0] for door, _ in taken)
    for _, give_back in taken[:-1]:
        give_back()
        give_back()  # twice is fine, and counts once
    assert not doors.opened[0].closed.wait(0.15)
    taken[-1][1]()
    assert doors.opened[0].closed.wait(5)
    pool.take("gate", doors.open)[1]()
    assert len(doors.opened) == 2


def test_who_comes_soon_after_the_last_still_gets_it_and_other_keys_are_others() -> None:
    doors, pool = Doors(), shared(linger_s=0.3)
    for _ in range(3):
        pool.take("gate", doors.open)[1]()
    assert len(doors.opened) == 1
    pool.take("other gate", doors.open)
    assert len(doors.opened) == 2


def test_a_dead_one_is_replaced_once_and_its_users_close_nothing_of_the_new_one() -> None:
    doors, pool = Doors(), shared()
    _, give_back = pool.take("gate", doors.open)
    doors.opened[0].alive = False
    with ThreadPoolExecutor(4) as executor:
        taken = list(executor.map(lambda _: pool.take("gate", doors.open)[0], range(4)))
    assert len(doors.opened) == 2 and set(map(id, taken)) == {id(doors.opened[1])}
    assert doors.opened[0].closed.is_set()
    give_back()
    assert not doors.opened[1].closed.wait(0.15)


def test_who_waited_for_an_attempt_gets_its_error_and_a_later_one_tries_again() -> None:
    doors, pool = Doors(problem=Unreachable("nothing listens", "gate")), shared()
    tried = threading.Semaphore(0)

    def open_it() -> Door:
        tried.release()
        return doors.open()

    def fails(_: int) -> Unreachable:
        with pytest.raises(Unreachable) as found:
            pool.take("gate", open_it)
        found.value.add_note("mine")
        return found.value

    with ThreadPoolExecutor(6) as executor:
        errors = list(executor.map(fails, range(6)))
    assert len({id(error) for error in errors}) == 6, "each has one of its own"
    assert all(
        (error.problem, error.host, error.__notes__) == ("nothing listens", "gate", ["mine"]) for error in errors
    )
    attempts = sum(tried.acquire(blocking=False) for _ in range(6))
    assert attempts < 6
    doors.problem = None
    assert pool.take("gate", open_it)[0].alive
