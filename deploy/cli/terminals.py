"""Knows what standard input and output are good for: whether somebody can be asked there, what can be shown."""

from __future__ import annotations

import io
import sys


def somebody_types() -> bool:
    """Whether standard input is a terminal; one that was closed (`<&-`) is none."""
    return sys.stdin is not None and sys.stdin.isatty()


def show_what_can_be_shown() -> None:
    """From now on a character that the terminal's encoding lacks is shown as ?, and ends no command.

    Where somebody chose another way (PYTHONIOENCODING=ascii:backslashreplace), that one stays.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
