"""Knows how the user calls this program, so that every command it names can be typed as it stands."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def _program() -> str:
    """The name where the PATH leads to it, else the way that was typed, such as ".venv/bin/invoke"."""
    called = Path(sys.argv[0])
    if called.name not in ("invoke", "inv", "slimdeploy"):
        return "slimdeploy"
    found = shutil.which(called.name)
    return called.name if found and called.exists() and Path(found).samefile(called) else sys.argv[0]


PROGRAM = _program()
"""What stands before a command's name."""
