"""Knows whether somebody sits at a terminal who can be asked. What they are asked is the commands'."""

from __future__ import annotations

import sys


def somebody_types() -> bool:
    """Whether standard input is a terminal; one that was closed (`<&-`) is none."""
    return sys.stdin is not None and sys.stdin.isatty()
