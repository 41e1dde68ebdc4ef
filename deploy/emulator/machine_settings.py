"""Knows what an emulated board's daemon is told when it starts: the board's settings.json, which `emulated.py` wrote.

What each of the switches means is `switches.py`'s.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes in KiB; latency one way, in seconds; bandwidth in bits a second."""

    machine: str
    image: str
    """The image's folder."""
    memory_kib: int
    """What Linux is to see."""
    disk_kib: int
    health_port: int
    latency_s: float = 0.0
    bandwidth_bits: float = 0.0
    user_land: str = "busybox"
    switches: dict[str, Any] | None = None

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """From the board's folder; keys that are not ours are left to others."""
        found = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        return cls(**{key: value for key, value in found.items() if key in cls.__dataclass_fields__})
