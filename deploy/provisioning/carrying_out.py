"""Knows the order in which changes are made, and that password login ends only where a key has been proven to work.

How one change is made and read back is `asking.py`'s; how connections are opened is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass

from deploy.errors import AuthenticationRefused, CommandFailed, HostError, KeyNotTaken, Unreachable
from deploy.provisioning.asking import Found, ask, make
from deploy.provisioning.password_login import PasswordLogin
from deploy.provisioning.public_key import TakenKey
from deploy.provisioning.wish import Already, Change, Wish
from deploy.steps.asking import must
from deploy.transport.protocol import Transport

_BACK_WITHIN_S = 15.0
"""For how long an SSH server that was told to reload may not listen."""


@dataclass(frozen=True, slots=True)
class Doors:
    """How the host is entered: `by_key` opens a connection by keys alone, `takes_passwords` knocks with none of ours.

    `by_key` raises AuthenticationRefused; both raise Unreachable.
    """

    by_key: Callable[[], Transport]
    takes_passwords: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Done:
    """A wish, what was so of it, and whether that took a change."""

    wish: Wish
    detail: str
    changed: bool


def carry_out(
    transport: Transport, found: Found, doors: Doors, told: Callable[[Done], None], began: Callable[[Change], None]
) -> Transport:
    """Make the changes, in their order; the connection that is open at the end, which may be another.

    `began` is told of each before it is made, `told` of each wish when it is fulfilled. Raises HostError's leaves, with
    a note of what was done before.
    """
    done: list[str] = []
    try:
        for wish, judged in found.judged:
            if isinstance(judged, Already):
                told(Done(wish, judged.reason, changed=False))
            elif isinstance(judged, Change):
                began(judged)
                if isinstance(wish, PasswordLogin):
                    detail = turn_off(transport, wish, judged, doors)
                else:
                    detail = make(transport, wish, judged).reason
                if isinstance(wish, TakenKey):
                    proven = _proven(doors)
                    transport.close()
                    transport, detail = proven, f"{detail}; proven by a second connection"
                done.append(wish.name.replace("_", " "))
                told(Done(wish, detail, changed=True))
    except HostError as error:
        if done:
            error.add_note("done before: " + ", ".join(done))
        transport.close()
        raise
    return transport


def _proven(doors: Doors) -> Transport:
    try:
        return doors.by_key()
    except AuthenticationRefused as error:
        raise KeyNotTaken(f"the key is on the board, and {error.problem}", error.host) from error


def turn_off(transport: Transport, wish: PasswordLogin, change: Change, doors: Doors) -> str:
    """Turn password login off between two logins by key; put it back where the second fails.

    Raises HostError's leaves, with a note that says how the board was left.
    """
    with closing(_proven(doors)):
        pass
    try:
        must(transport, change.script)
        with closing(_when_it_listens(doors.by_key)) as after:
            read_back = ask(after, (wish,)).judged[0][1]
            if not isinstance(read_back, Already) or doors.takes_passwords():
                raise CommandFailed("the SSH server still takes passwords", after.host)
            must(after, wish.settle())
    except BaseException as error:
        error.add_note(_put_back(transport, wish, doors))
        raise
    return f"{read_back.reason}; a login by key works, and one by password is refused"


def _put_back(transport: Transport, wish: PasswordLogin, doors: Doors) -> str:
    with suppress(HostError):
        must(transport, wish.undo())
        return "password login was put back as it was"
    with suppress(HostError), closing(doors.by_key()) as another:
        must(another, wish.undo())
        return "password login was put back as it was"
    return "the board puts password login back by itself, two minutes after the change"


def _when_it_listens(connect: Callable[[], Transport]) -> Transport:
    until_s = time.monotonic() + _BACK_WITHIN_S
    while True:
        try:
            return connect()
        except Unreachable:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.25)
