"""Knows how to make text from a stranger safe to show: what a board prints is data, never control over a terminal."""

from __future__ import annotations

MOST_CHARACTERS = 64 * 1024
"""More than this of a board's output helps nobody; the end matters most, so the beginning is what is cut."""


def clean(text: bytes | str, most: int = MOST_CHARACTERS) -> str:
    """`text` without what could steer a terminal or deceive a reader; newlines and tabs stay.

    Bytes are read as UTF-8, with U+FFFD for what is none. Control characters (C0, C1, DEL), format characters such as
    the bidirectional overrides (Unicode category Cf), surrogates, and blanks that are no blank or end a line become
    their escape (\\x1b, \\u202e, \\xa0, \\u2028); CR LF becomes LF. What is longer than `most` characters
    loses its beginning.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if len(text) > most:
        text = "…" + text[len(text) - most + 1 :]
    return "".join(_shown(character) for character in text.replace("\r\n", "\n"))


def _shown(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
