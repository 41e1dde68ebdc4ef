"""Knows how the flags of a command over a fleet go before what the inventory says, and what they must not say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from deploy import catalogue
from deploy.errors import UsageError
from deploy.fleet.draft import SLOTS
from deploy.fleet.resolving import filled
from deploy.fleet.settings import checked
from deploy.model.fleet import SETTINGS, Member

Flags = Mapping[str, str | bool]


def overridden(members: Sequence[Member], flags: Flags) -> tuple[Member, ...]:
    """The members with `flags`, keys of SETTINGS, before their own settings; {name} and {address} are filled in.

    A flag that was not given is "" or False, and changes nothing. Raises UsageError for a value that can't be one.
    """
    given = {name: _checked(name, value) for name, value in flags.items() if value and name in SETTINGS}
    slots = {SLOTS.get(name, name) for name in given}
    found = []
    for member in members:
        kept = {name: value for name, value in member.settings.items() if SLOTS.get(name, name) not in slots}
        own = {
            name: value if isinstance(value, bool) else filled(name, value, member.name, member.host.address)
            for name, value in given.items()
        }
        found.append(replace(member, settings=kept | own))
    return tuple(found)


def _checked(name: str, value: str | bool) -> str | bool:
    try:
        found = checked(name, value)
    except ValueError as error:
        raise UsageError(f"--{name.replace('_', '-')} {error}") from None
    assert not isinstance(found, tuple), "no setting is a list"
    return found


def refuse_shared_bots(members: Sequence[Member]) -> None:
    """Raise UsageError where two members would get their bot token from the same place.

    Telegram gives the messages of one bot to one gateway alone, and answers the others with 409.
    """
    seen: dict[tuple[str, str], str] = {}
    for member in members:
        where = _origin(member)
        if (before := seen.setdefault(where, member.name)) != member.name:
            raise UsageError(
                f"{before} and {member.name} would be the same bot, whose token comes from {_told(where)}: "
                'each host needs one of its own (token_file = "tokens/{name}" in the inventory, or --token-file)'
            )


def _origin(member: Member) -> tuple[str, str]:
    for name in ("token_file", "token_command", "token_keyring", "config_file"):
        if value := member.settings.get(name):
            return name, str(value)
    if member.board:
        board = catalogue.board(member.board)
        if board.token_command or board.token_keyring:
            return "the board's file", member.board
    return "", ""


def _told(where: tuple[str, str]) -> str:
    return f"{where[0]} ({where[1]})" if where[0] else "the environment (TELEGRAM_BOT_TOKEN)"
