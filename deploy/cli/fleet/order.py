"""Knows what is to be done to every member of a fleet, as plain values; how, is `deeds.py`'s business."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.model.verdict import Budget


@dataclass(frozen=True, slots=True)
class Order:
    """What one command does to each member."""

    budget: Budget = field(default_factory=Budget)
    keep: bool = True
    """Whether readings go to the history."""
    script: str = ""
    """For `fleet.run`: what the board's shell runs."""
    script_s: float = 60.0
