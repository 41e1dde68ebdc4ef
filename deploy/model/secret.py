"""Knows how to hold a secret so that it is not printed by accident; revealing one is the transport's business."""

from __future__ import annotations

import re

# BotFather's form: the bot's numeric id, a colon, 35 characters (core.telegram.org/bots/api, "Authorizing your bot").
_NUMBER = re.compile(r"[0-9]{5,20}")
_BOT_TOKEN = re.compile(_NUMBER.pattern + r":[A-Za-z0-9_-]{35}")

_VISIBLE = re.compile(r"[!-~]+")
_LONGEST_KEY = 4096
"""As much as the gateway takes (maxString in gateway/internal/config)."""


class Secret:
    """Bytes that mask themselves in `repr`, `str` and formatting; `reveal()` is called where they are sent."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "…"

    def __format__(self, spec: str) -> str:
        return "…"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not to be pickled")


def api_key_fault(key: str) -> str | None:
    """Why `key` can't be an API key, as a clause without the key in it; None where it can stand in an HTTP header.

    The form is the vendor's own; what a bearer token may hold is RFC 6750, section 2.1, here with all visible ASCII.
    """
    if not key:
        return "it is empty"
    if len(key) > _LONGEST_KEY:
        return f"it has more than {_LONGEST_KEY} characters"
    if not _VISIBLE.fullmatch(key):
        return "it holds white space or characters outside ASCII"
    return None


def token_fault(token: str) -> str | None:
    """Why `token` can't be a bot token, as a clause without the token in it; None where it has the form of one."""
    if not token:
        return "it is empty"
    if _BOT_TOKEN.fullmatch(token):
        return None
    if token != token.strip():
        return "it has white space around it"
    if ":" not in token:
        return "it has no colon: a token is the bot's number, a colon and 35 characters"
    number, _, rest = token.partition(":")
    if not _NUMBER.fullmatch(number):
        return "what stands before the colon is not a bot's number"
    if len(rest) != 35:
        return f"{len(rest)} characters follow the colon instead of 35"
    return "it holds characters other than letters, digits, _ and -"
