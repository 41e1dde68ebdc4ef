"""Knows the three verdicts and their exit codes. Which one a reading earns is decided in `deploy/memory/budget.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """PASS, FAIL or NOT MEASURED: what users and scripts see."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    NOT_MEASURED = "NOT MEASURED"

    @property
    def exit_code(self) -> int:
        """0, 1 and 3; 2 is a usage error's and 4 a host's."""
        return {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.NOT_MEASURED: 3}[self]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a reading is held to: steady VmRSS plus its error bar, and the peak where the user set a budget for it."""

    rss_kib: int = 5 * 1024
    hwm_kib: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with its reason, one sentence."""

    outcome: Outcome
    reason: str
    budget: Budget
