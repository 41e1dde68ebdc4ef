"""Knows how much of a text of a stranger's the probe takes, and how: on one line, cleaned, and cut short.

What is asked, and what a text means, is `probe.py`'s and its neighbours'.
"""

from __future__ import annotations

from deploy.model.display import clean

MOST_CHARACTERS = 200
"""Of one text: names are shorter."""

MOST_FEATURES = 8192
"""Of one line of /proc/cpuinfo, on which an x86-64 processor has more than a hundred flags."""

MOST_VALUES = 64
"""Of one key of /proc/cpuinfo, and of one list."""


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """The first line of `text`, without what could steer a terminal, and short."""
    head = text.lstrip()[:most].splitlines()
    return clean(head[0], 10 * most).replace("\t", " ").strip()[:most] if head else ""


def pairs(text: str) -> dict[str, tuple[str, ...]]:
    """Lines of a word and a text; a word may come many times."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line[: 2 * MOST_CHARACTERS].partition(" ")
        value = one_line(value)
        if value and len(found.setdefault(key, [])) < MOST_VALUES:
            found[key].append(value)
    return {key: tuple(values) for key, values in found.items() if values}
