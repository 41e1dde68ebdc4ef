"""Knows how the user calls this program, so that every command it names can be typed as it stands."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAM = "slimdeploy" if Path(sys.argv[0]).name.startswith("slimdeploy") else "invoke"
"""`slimdeploy` where it was started as that, else `invoke`."""
