"""Knows how "1,5%,25%,rest" divides a fleet into waves; who goes into which group of the fleet is the inventory's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from deploy.errors import UsageError
from deploy.model.rollout import Wave

REST = "rest"
"""The last wave: everybody who is in none before it."""

ALL_AT_ONCE = (REST,)

# No more digits than anybody means; int() of thousands of them would take its time.
_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")
_SHARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)%")


def parse_waves(text: str) -> tuple[str, ...]:
    """The waves that `text` names, in order: numbers of hosts, shares of the whole fleet, and always `rest` at the end.

    "1,5%,25%" is ("1", "5%", "25%", "rest"). Raises UsageError, showing the form.
    """
    parts = tuple(part.strip().lower() for part in text.split(","))
    for number, part in enumerate(parts, 1):
        if part == REST and number < len(parts):
            raise UsageError(f"--waves {text!r}: {REST} is whoever is left over, so it can only come last{_FORM}")
        if part != REST:
            _check(part, text)
    return parts if parts[-1] == REST else (*parts, REST)


def plan_waves(waves: Sequence[str], members: Sequence[str]) -> tuple[Wave, ...]:
    """`members`, in their order, as waves; everybody is in exactly one of them, and none of them is empty.

    `waves` are as `parse_waves` gives them. A share is of the whole fleet, rounded up: 5% of 30 hosts are 2. Where the
    fleet is used up early there are fewer waves; where `waves` end early a last wave takes who is left. Numbers count
    from 1. Raises UsageError as `parse_waves` does.
    """
    left = list(dict.fromkeys(members))
    total = len(left)
    planned: list[Wave] = []
    for part in (*waves, REST):
        if not left:
            break
        count = len(left) if part == REST else _size(part, total)
        planned.append(Wave(len(planned) + 1, tuple(left[:count])))
        left = left[count:]
    return tuple(planned)


_FORM = "; write it as 1,5%,25%,rest"


def _check(part: str, text: str) -> None:
    share = _SHARE.fullmatch(part)
    if share is None and not _COUNT.fullmatch(part):
        raise UsageError(f"--waves {text!r}: {part!r} is no number of hosts from 1, no share and not {REST}{_FORM}")
    if share is not None and not 0 < Fraction(share[1]) <= 100:
        raise UsageError(f"--waves {text!r}: {part} is no share above 0% and up to 100%{_FORM}")


def _size(part: str, total: int) -> int:
    _check(part, part)
    if share := _SHARE.fullmatch(part):
        return max(1, -(-Fraction(share[1]) * total // 100))
    return int(part)
