"""Knows how a deed on one member ends: always in a Result, with what was found out before it failed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from deploy.cli.cures import cure
from deploy.cli.ending import FAULT, evidence_of
from deploy.cli.reaching import Place
from deploy.errors import ConnectionLost, DeadlineExceeded, NotReady, SlimdeployError, Unreachable
from deploy.model.fleet import Member
from deploy.model.rollout import Result, State
from deploy.model.verdict import Verdict

_MOST_OF_LOG = 200


@dataclass(slots=True)
class Told:
    """What a deed has found out so far; also where it fails, that much is told."""

    member: Member
    began_s: float = field(default_factory=time.monotonic)
    place: Place | None = None
    changed: bool = False
    """Whether something on the host is another than before: one that is lost then was within reach."""

    def result(self, state: State, **more: Any) -> Result:
        """The result, with what is known of the member and how long it took."""
        found = Result(
            self.member.name,
            state,
            seconds=round(time.monotonic() - self.began_s, 3),
            board=self.place.board.name if self.place else PurePath(self.member.board).stem,
            host=str(self.member.host),
        )
        return replace(found, **more)

    def failed(self, error: SlimdeployError, state: State | None = None, **more: Any) -> Result:
        """As a problem with its cure."""
        lost = isinstance(error, Unreachable) or (
            isinstance(error, (ConnectionLost, DeadlineExceeded)) and not self.changed
        )
        notes = ", ".join(dict.fromkeys(getattr(error, "__notes__", ())))
        problem = error.problem + _log_end(error) + (f" ({notes})" if notes else "")
        details = {"error": {"kind": type(error).__name__, "evidence": evidence_of(error)}}
        return self.result(
            state or (State.UNREACHABLE if lost else State.FAILED),
            problem=problem,
            cure=cure(error),
            exit_code=error.exit_code or FAULT,
            document=details,
            **more,
        )


def _log_end(error: SlimdeployError) -> str:
    """The last line of the gateway's log, where it has ended: of a thousand hosts nobody looks at each one's log."""
    lines = [line for line in error.log.splitlines() if line.strip()] if isinstance(error, NotReady) else []
    if not lines:
        return ""
    said = re.sub(r"^\S+Z level=\w+ ", "", lines[-1].strip())
    return f"; its log ends with: {said[:_MOST_OF_LOG]}"


def guarded(member: Member, act: Callable[[Told], Result]) -> Result:
    """What `act` returns; a problem as a result of its own."""
    told = Told(member)
    try:
        return act(told)
    except SlimdeployError as error:
        return told.failed(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return told.result(State.FAILED, problem=f"this machine: {where}{error.strerror or error}", exit_code=2)


def judged(result: Result, verdict: Verdict) -> Result:
    """The result with the verdict and the figures of its document."""
    figures = (result.document or {}).get("reading") or {}
    return replace(
        result,
        verdict=verdict.outcome.value,
        exit_code=verdict.outcome.exit_code,
        problem="" if verdict.outcome.exit_code == 0 else verdict.reason,
        rss_kib=figures.get("rss_kib"),
        rss_error_kib=figures.get("rss_error_kib"),
        hwm_kib=figures.get("hwm_kib"),
    )
