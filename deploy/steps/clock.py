"""Knows when a board's clock is set from the controller's, and whether it took; the words are `board_shell`'s."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from deploy.board_shell.clock import parse_clock, set_clock_script
from deploy.errors import Refused
from deploy.model.display import clean
from deploy.steps.asking import change
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.preflight import CLOCK_TOLERANCE_S, date_of
from deploy.transport.protocol import Script

TOOK_S = 60
"""How far the clock may be off right after it was set: as long as a slow link and a slow board may take, twice over."""


@dataclass(frozen=True, slots=True)
class SetClock:
    """Sets the clock where it is off by more than preflight lets pass. In a deployment only with `--set-clock`."""

    now: Callable[[], float] = time.time
    title: str = "Clock"

    def skip(self, job: Job) -> str | None:
        """A clock that is right to a day: NTP, or whoever keeps it, knows better."""
        if abs(job.known.clock_s - self.now()) <= CLOCK_TOLERANCE_S:
            return "the board's clock is right to a day"
        return None

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The one script; a dry run shows the time of the dry run."""
        return (set_clock_script(int(self.now())),)

    def run(self, job: Job, observer: Observer) -> str:
        """Set it and read it back. Raises Refused where it did not take."""
        before_s = job.known.clock_s
        completed = change(job, set_clock_script(int(self.now())))
        says_s = parse_clock(completed.stdout)
        if abs(says_s - self.now()) > TOOK_S:
            why = clean(completed.stderr).strip().rpartition("\n")[2]
            problem = f"the board's clock still says {date_of(says_s)}" + (f" ({why})" if why else "")
            raise Refused("clock_not_set", problem, job.transport.host)
        job.facts = replace(job.known, clock_s=says_s)
        return f"it said {date_of(before_s)}, and says {date_of(says_s)} now; it is not written into a hardware clock"

    def undo(self, job: Job) -> None:
        """Nothing: a clock that is right harms nobody."""
