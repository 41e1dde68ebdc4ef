"""Knows how a range such as `edge-[001:200]` becomes the names it stands for; what is named so is everybody else's.

The form is Ansible's ("How to build your inventory", Adding ranges of hosts): `[first:last]` or `[first:last:step]`,
numbers or single letters, both ends included. Without a first number it is 0; A follows z.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import string

MOST = 20_000
"""As many hosts as one pattern may stand for: a slip of the finger is found before it fills the memory."""

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_NUMBERS = re.compile(r"([0-9]{0,9}):([0-9]{1,9})(?::([0-9]{1,9}))?")
_LETTERS = re.compile(r"([A-Za-z]):([A-Za-z])(?::([0-9]{1,9}))?")
_FORM = "write [001:200], [1:10:2] or [a:f]"


def is_range(text: str) -> bool:
    """Whether `text` holds brackets that are not those of an IPv6 address."""
    return any(not is_ipv6(inner) for inner in _BRACKETS.findall(text))


def expand(text: str) -> tuple[str, ...]:
    """What `text` stands for, in order: itself where it holds no range; of several ranges, the last runs fastest.

    Leading zeros of the first number are kept: [08:10] is 08, 09, 10. Brackets around an IPv6 address stay.
    Raises ValueError with a sentence, also for more than `MOST`.
    """
    if "[" not in text and "]" not in text:
        return (text,)
    pieces: list[list[str] | tuple[str, ...]] = []
    end, count = 0, 1
    for match in _BRACKETS.finditer(text):
        pieces.append((text[end : match.start()],))
        end = match.end()
        if is_ipv6(match[1]):
            pieces.append((match[0],))
            continue
        numbers, width = _numbers(match[1])
        count *= len(numbers)
        if count > MOST:
            raise ValueError(f"{text!r} stands for more than {MOST:,} hosts")
        pieces.append(
            [string.ascii_letters[each] for each in numbers] if width < 0 else [f"{each:0{width}}" for each in numbers]
        )
    pieces.append((text[end:],))
    if any("[" in piece[0] or "]" in piece[0] for piece in pieces[::2]):
        raise ValueError(f"the brackets of {text!r} do not pair: {_FORM}")
    return tuple("".join(parts) for parts in itertools.product(*pieces))


def is_ipv6(text: str) -> bool:
    """Whether `text` is an IPv6 address, a zone (%eth0) included."""
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _numbers(inner: str) -> tuple[range, int]:
    """The numbers of a range, and how wide they are written; places in the alphabet and -1 for letters."""
    if match := _NUMBERS.fullmatch(inner):
        first, last, step = int(match[1] or 0), int(match[2]), int(match[3] or 1)
        width = len(match[1]) if match[1].startswith("0") else 1
    elif match := _LETTERS.fullmatch(inner):
        first, last = (string.ascii_letters.index(each) for each in match.groups()[:2])
        step = int(match[3] or 1)
        width = -1
    else:
        raise ValueError(f"[{inner}] is not a range: {_FORM}")
    if first > last:
        raise ValueError(f"the range [{inner}] ends before it begins")
    if step < 1:
        raise ValueError(f"the range [{inner}] has a step of 0")
    return range(first, last + 1, step), width
