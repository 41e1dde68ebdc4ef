"""Knows how the user calls this program, so that every command it names can be typed as it stands."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAM = "invoke" if Path(sys.argv[0]).name in ("invoke", "inv") else "slimdeploy"
"""`invoke` where it was started as that, else `slimdeploy`."""
