"""Knows what a watch comes to: how many samples, their least, median and most, restarts and gaps. In bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from deploy.model.watching import Back, Cost, Counted, Event, Gone, Lost, Seen


@dataclass(slots=True)
class Tally:
    """The sums so far; tell it every event, in order."""

    samples: int = 0
    restarts: int = 0
    absences: int = 0
    """How often the process was not there."""
    gaps: int = 0
    away_s: float = 0.0
    """How long no sample came because the link was gone; what is still open counts up to the last event."""
    hwm_kib: int | None = None
    counted: Counted | None = None
    cost_looks: int = 0
    cost_ms: int = 0
    cost_hwm_kib: int | None = None
    _rss: Counter[int] = field(default_factory=Counter)
    _loop: Cost | None = None
    _first_at: float | None = None
    _last_at: float = 0.0

    def all(self, events: Iterable[Event]) -> Tally:
        """Itself, with all of them told."""
        for event in events:
            self.tell(event)
        return self

    def tell(self, event: Event) -> None:
        """One more."""
        if self._first_at is None:
            self._first_at = event.taken_at
        self._last_at = event.taken_at
        match event:
            case Seen(glimpse=glimpse):
                self.samples += 1
                self.restarts = event.restarts
                self._rss[glimpse.vm_rss_kib] += 1
                self.hwm_kib = max(self.hwm_kib or 0, glimpse.vm_hwm_kib or 0) or None
            case Gone():
                self.absences += 1
            case Lost():
                self.gaps += 1
            case Back():
                self.away_s += event.away_s
            case Counted():
                self.counted = event
            case Cost():
                self._add(event)
            case _:
                pass

    def _add(self, cost: Cost) -> None:
        """A loop tells sums since its own start; a smaller sum is a new loop's."""
        before = self._loop if self._loop is not None and self._loop.looks <= cost.looks else None
        self.cost_looks += cost.looks - (before.looks if before else 0)
        self.cost_ms += cost.cpu_ms - (before.cpu_ms if before else 0)
        self.cost_hwm_kib = max(self.cost_hwm_kib or 0, cost.hwm_kib or 0) or None
        self._loop = cost

    @property
    def lasted_s(self) -> float:
        """From the first event to the last."""
        return self._last_at - self._first_at if self._first_at is not None else 0.0

    @property
    def least_kib(self) -> int | None:
        """The lowest VmRSS."""
        return min(self._rss, default=None)

    @property
    def most_kib(self) -> int | None:
        """The highest VmRSS."""
        return max(self._rss, default=None)

    @property
    def median_kib(self) -> int | None:
        """The VmRSS that half of the samples do not exceed (the lower one of two)."""
        passed = 0
        for kib in sorted(self._rss):
            passed += self._rss[kib]
            if 2 * passed >= self.samples:
                return kib
        return None

    @property
    def cost_ms_a_look(self) -> float | None:
        """CPU milliseconds that the board spent on one look; None where it never told."""
        return self.cost_ms / self.cost_looks if self.cost_looks else None
