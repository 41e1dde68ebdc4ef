"""Knows how to quote for a POSIX shell; the only place that does. What is quoted is the callers' business."""

from __future__ import annotations

import shlex


def quote(text: str) -> str:
    """`text` as one word of sh that expands to exactly itself. Raises ValueError for a NUL: no argument can hold it."""
    if "\0" in text:
        raise ValueError("a shell word can't hold a NUL byte")
    return shlex.quote(text)


def quote_path(path: str) -> str:
    """A path on the board as one word of sh; a leading "~/" becomes the login's home folder there.

    A relative path gets "./" in front, so that no command takes it for an option.
    """
    if path == "~":
        return '"$HOME"'
    if path.startswith("~/"):
        return f'"$HOME"/{quote(path[2:])}' if path[2:] else '"$HOME"/'
    if path.startswith("/"):
        return quote(path)
    return quote(f"./{path}")
