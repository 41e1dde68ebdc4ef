"""Knows in which line each key of a TOML file stands; what the keys mean is asked of tomllib, which tells no lines.

It takes only text that tomllib has read without a fault (TOML 1.0), and so has to tell apart what stands where, not
what is wrong. No library with good upkeep tells the lines: tomllib, tomli and tomlkit give values without positions.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""{1,3}|\'\'\'.*?\'\'\'{1,3}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    """The line of every table and key, counted from 1, by its path: ("hosts", "attic", "board") -> 12.

    What stands in an array has none. Raises RecursionError for arrays that lie too deep in one another.
    """
    return _Scanner(text).document()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[tuple[str, ...], int] = {}

    def document(self) -> dict[tuple[str, ...], int]:
        table: tuple[str, ...] = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._next() == "[":
                line = self._line()
                brackets = 2 if self._text.startswith("[[", self._at) else 1
                self._at += brackets
                table = self._key()
                self._lines.setdefault(table, line)
                self._at += brackets
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _pair(self, table: tuple[str, ...] | None) -> None:
        line = self._line()
        key = self._key()
        path = None if table is None else (*table, *key)
        if path is not None:
            for length in range(len(path), len(path) - len(key), -1):
                self._lines.setdefault(path[:length], line)
        self._at += 1  # the =
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        """The parts of a key with dots in it, up to what follows it."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            quoted = self._next() in "\"'"
            token = self._skip(_STRING if quoted else _BARE_KEY)
            parts.append(tomllib.loads(f"k = {token}")["k"] if quoted else token)
            self._skip(_SPACE)
            if self._next() != ".":
                return tuple(parts)
            self._at += 1

    def _value(self, path: tuple[str, ...] | None) -> None:
        opened = self._next()
        if opened not in ("[", "{"):
            self._skip(_STRING if opened in ('"', "'") else _BARE_VALUE)
            return
        self._at += 1
        while True:
            self._skip(_BLANK)
            if self._next() == ",":
                self._at += 1
            elif self._next() in ("]", "}", ""):
                self._at += 1
                return
            elif opened == "[":
                self._value(None)
            else:
                self._pair(path)

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, what: re.Pattern[str]) -> str:
        match = what.match(self._text, self._at)
        if match is None:
            raise ValueError(f"line {self._line()} is not TOML")
        self._at = match.end()
        return match[0]

    def _line(self) -> int:
        return bisect_right(self._ends, self._at - 1) + 1
