"""Knows how each member is logged in to for `fleet.provision`, by a key or a first password, and what it answers there.

Whose host keys are trusted is `reviewing.py`'s; what becomes of all of them, the command's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.cli import provision, secret_sources
from deploy.cli.fleet.seats import place_of
from deploy.cli.fleet.told import Told, guarded
from deploy.cli.probing import Where
from deploy.cli.provision import Entered
from deploy.cli.reaching import Place
from deploy.cli.secret_sources import Sources
from deploy.errors import AuthenticationRefused, HostKeyUnknown, Refused
from deploy.model.fleet import Member
from deploy.model.rollout import Result, State
from deploy.model.secret import Secret
from deploy.provisioning import asking
from deploy.provisioning.asking import Found
from deploy.provisioning.carrying_out import Done
from deploy.provisioning.wish import Already, Wish
from deploy.report.silent import Silent


@dataclass(slots=True)
class Seat:
    """One member, and all that has been found out of it."""

    member: Member
    wanted: tuple[Wish, ...]
    password: Secret | None = None
    wants_password: bool = False
    """Whether it takes no key of ours, and nobody has said where its password comes from."""
    unknown: HostKeyUnknown | None = None
    """The host key that nobody has seen before: its own, or a jump host's."""
    entered: Entered | None = None
    found: Found | None = None
    done: list[Done] = field(default_factory=list)
    result: Result | None = None

    @property
    def titles(self) -> tuple[str, ...]:
        """What is to be changed there."""
        return tuple(change.title for _, change in self.found.changes) if self.found else ()

    @property
    def is_well(self) -> bool:
        """Whether nothing has gone wrong so far."""
        return self.result is not None and not self.result.problem

    def row(self, place: Place) -> dict[str, Any]:
        """As `provision --json` tells it of one host."""
        assert self.entered is not None and self.found is not None, "it has answered"
        return provision.document(place, self.entered, self.found, self.done)


def look(seat: Seat) -> Result:
    """Log in and ask what is so and what is not; nothing is changed."""
    seat.unknown, seat.wants_password = None, False

    def act(told: Told) -> Result:
        place, where = _where(seat.member)
        entered = _enter(seat, where, place)
        try:
            found = asking.ask(entered.transport, (entered.key, *seat.wanted))
            asking.refuse(found, entered.transport.host)
        finally:
            entered.transport.close()
        seat.entered, seat.found = entered, found
        seat.done = [Done(wish, each.reason, changed=False) for wish, each in found.judged if isinstance(each, Already)]
        return told.result(State.UNCHANGED, document=seat.row(place))

    seat.result = guarded(seat.member, act)
    return seat.result


def make(seat: Seat) -> Result:
    """Make the changes that were listed, and none that was not."""

    def act(told: Told) -> Result:
        place, where = _where(seat.member)
        listed = set(seat.titles)
        entered = _enter(seat, where, place)
        transport = entered.transport
        try:
            found = asking.ask(transport, (entered.key, *seat.wanted))
            asking.refuse(found, transport.host)
            if other := [change.title for _, change in found.changes if change.title not in listed]:
                problem = f"it has changed meanwhile, and something else would be done now: {'; '.join(other)}"
                raise Refused("other_changes", problem, transport.host)
            told.changed = True
            seat.entered, seat.found, seat.done = entered, found, []
            ways = provision.doors(where, place)
            transport = provision.carry(transport, found, ways, Silent(), seat.done)
        finally:
            transport.close()
        return told.result(State.UNCHANGED, document=seat.row(place))

    seat.result = guarded(seat.member, act)
    return seat.result


def _where(member: Member) -> tuple[Place, Where]:
    return place_of(member), Where(identity=str(member.settings.get("identity", "")))


def _enter(seat: Seat, where: Where, place: Place) -> Entered:
    def password() -> Secret | None:
        if seat.password is None:
            named = seat.member.provisioning
            file, command, keyring = (str(named.get(f"password_{kind}", "")) for kind in ("file", "command", "keyring"))
            seat.password = secret_sources.login_password(Sources(file, command, keyring, asks=False))
        return seat.password

    try:
        return provision.enter(where, place, password)
    except HostKeyUnknown as error:
        seat.unknown = error
        raise
    except AuthenticationRefused:
        seat.wants_password = seat.password is None
        raise


def ask_passwords(seats: Sequence[Seat], ask: Callable[[str], str]) -> None:
    """Ask once for the password of all of them; where it is empty, once for each, who may be left out."""
    if len(seats) > 1:
        names = " ".join(seat.member.name for seat in seats)
        common = ask(f"{len(seats)} hosts take no key of yours: {names}\nTheir password (empty: another for each): ")
        if common:
            for seat in seats:
                seat.password = Secret(common.encode())
            return
    for seat in seats:
        typed = ask(f"Password of {seat.member.name}, {seat.member.host} (kept nowhere; empty: leave it out): ")
        if typed:
            seat.password = Secret(typed.encode())
