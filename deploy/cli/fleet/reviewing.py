"""Knows how host keys that nobody has seen before are looked at before they are trusted: all of them together, once.

How they are collected, by logging in, is `seating.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deploy.cli.fleet.seating import Seat
from deploy.cli.terminals import somebody_types
from deploy.errors import HostKeyUnknown, UsageError
from deploy.fleet.fingerprints import Fingerprints
from deploy.model.host import parse_host
from deploy.report.silent import Shows

_CURE = (
    "Compare it with the board's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there); then say y on a "
    "terminal, or hand over a list: --fingerprints FILE."
)
_OTHER = "Somebody may be between you and the board: read its key on its console before you trust any."


@dataclass(slots=True)
class Shown:
    """One key, whose it is, and whether it is trusted from now on."""

    key: HostKeyUnknown
    seats: list[Seat]
    trusted: str = ""
    """"given" by a list, "confirmed", "accepted" unseen; "" for not at all."""

    @property
    def names(self) -> tuple[str, ...]:
        """What a list may call the host: by its address, and as the inventory calls it; a jump host is no member."""
        host = parse_host(self.key.host)
        members = [] if self.key.of_jump_host else [seat.member for seat in self.seats]
        return (
            *(each.name for each in members),
            *(each.host.address for each in members),  # perhaps an alias of ~/.ssh/config
            host.address,
            self.key.host,
            f"[{host.address}]:{host.port or 22}",
        )


@dataclass(slots=True)
class Review:
    """What the user has said of keys beforehand."""

    given: Fingerprints | None
    accept_new: bool
    may_ask: bool
    shown: list[Shown]
    """Every key of the whole command."""

    def of(self, seats: Sequence[Seat], screen: Shows) -> list[Seat]:
        """Show the keys that stopped `seats`, and trust those that may be: whom they stop no more.

        Raises UsageError where the user does not want them.
        """
        new: dict[tuple[str, str], Shown] = {}
        for seat in seats:
            if seat.unknown:
                key = seat.unknown
                new.setdefault((key.host, key.fingerprint), Shown(key, [])).seats.append(seat)
        if not new:
            return []
        self.shown += new.values()
        screen.say("Host keys that have not been seen before:", style="bold")
        for each in new.values():
            names = " ".join(seat.member.name for seat in each.seats)
            screen.say(f"  {each.key.host}  {each.key.fingerprint}  {each.key.key_type}  ({names})")
        if self.given is not None:
            for each in new.values():
                self._compare(each, self.given)
        else:
            self._decide(list(new.values()))
        from deploy.transport import host_keys

        for each in new.values():
            if each.trusted:
                host_keys.remember(parse_host(each.key.host), each.key.key_type, each.key.key)
            else:
                for seat in each.seats:
                    assert seat.result is not None, "it has been looked at"
                    seat.result = replace(seat.result, cure=seat.result.cure if self.given else _CURE)
        return [seat for each in new.values() if each.trusted for seat in each.seats]

    def _decide(self, new: Sequence[Shown]) -> None:
        trusted = "accepted" if self.accept_new else ""
        if not trusted and self.may_ask and somebody_types():
            what = "this key" if len(new) == 1 else f"these {len(new)} keys"
            if input(f"Compare them with the boards' own. Trust {what}? [y/N] ").strip().lower() not in ("y", "yes"):
                raise UsageError("no key was trusted, and nothing was changed, as you said")
            trusted = "confirmed"
        for each in new:
            every = all(seat.member.settings.get("accept_new_host_key") for seat in each.seats)
            each.trusted = trusted or ("accepted" if every else "")

    def _compare(self, each: Shown, given: Fingerprints) -> None:
        expected = given.of(each.names)
        if each.key.fingerprint in expected:
            each.trusted = "given"
            return
        for seat in each.seats:
            assert seat.result is not None, "it has been looked at"
            if expected:
                problem = f"{each.key.problem}, and {given.source} expects {', '.join(expected)}"
                seat.result = replace(seat.result, problem=problem, cure=_OTHER)
            else:
                problem = f"{each.key.problem}, nor does it stand in {given.source}"
                seat.result = replace(seat.result, problem=problem, cure=_CURE)
