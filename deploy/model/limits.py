"""Knows the limits that a gateway runs under; setting them is the service's work, reading them back the evidence's."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.model.units import MIB, go_size

SOFT_LIMITS = ("GOMEMLIMIT", "GOGC", "GOMAXPROCS")
"""The environment variables that the Go runtime obeys (package runtime, "Environment Variables")."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Soft limits, obeyed by the Go runtime: GOMEMLIMIT in bytes, GOGC in percent, GOMAXPROCS in threads.

    GOMEMLIMIT counts what the Go runtime maps, not the binary's own pages: it proves nothing about VmRSS
    (runtime/debug.SetMemoryLimit).
    """

    gomemlimit_bytes: int = 5 * MIB
    gogc_percent: int = 20
    gomaxprocs: int = 1
    hard_bytes: int | None = None
    """The ceiling that the kernel holds (a memory cgroup), None for none."""

    @property
    def high_bytes(self) -> int | None:
        """Where the kernel begins to take pages back and to slow the process down (memory.high of cgroups(7)), a
        sixteenth below the ceiling: what comes near it gives up file pages first, and is not ended at once.
        """
        return None if self.hard_bytes is None else self.hard_bytes - self.hard_bytes // 16

    def environment(self) -> dict[str, str]:
        """The three variables as the process gets them."""
        return {
            "GOMEMLIMIT": go_size(self.gomemlimit_bytes),
            "GOGC": str(self.gogc_percent),
            "GOMAXPROCS": str(self.gomaxprocs),
        }
