"""Knows what is done to one member: read, or asked something. Each deed ends in a Result and never in an error.

A deed is a function of plain values, so that a worker on another machine can be given it. What goes over a whole fleet
is `fleet/pool.py`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from deploy import deployments
from deploy.cli import history, reaching
from deploy.cli.claims import Claimed, claim, document_of
from deploy.cli.cures import cure
from deploy.cli.ending import FAULT, evidence_of
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.seats import seated
from deploy.cli.reaching import Place
from deploy.errors import ConnectionLost, DeadlineExceeded, SlimdeployError, Unreachable
from deploy.model.display import clean
from deploy.model.fleet import Member
from deploy.model.layout import Layout
from deploy.model.rollout import Result, State
from deploy.model.verdict import Verdict
from deploy.transport.protocol import Script

_MOST_SHOWN = 65_536
"""Characters of what a script printed that are kept."""


@dataclass(slots=True)
class _Told:
    """What a deed has found out so far; also where it fails, that much is told."""

    member: Member
    began_s: float = field(default_factory=time.monotonic)
    place: Place | None = None

    def result(self, state: State, **more: Any) -> Result:
        found = Result(
            self.member.name,
            state,
            seconds=round(time.monotonic() - self.began_s, 3),
            board=self.place.board.name if self.place else self.member.board,
            host=str(self.member.host),
        )
        return replace(found, **more)

    def failed(self, error: SlimdeployError) -> Result:
        """As a problem with its cure."""
        lost = isinstance(error, (ConnectionLost, DeadlineExceeded))
        state = State.UNREACHABLE if isinstance(error, Unreachable) or lost else State.FAILED
        notes = ", ".join(dict.fromkeys(getattr(error, "__notes__", ())))
        problem = error.problem + (f" ({notes})" if notes else "")
        details = {"error": {"kind": type(error).__name__, "evidence": evidence_of(error)}}
        return self.result(
            state, problem=problem, cure=cure(error), exit_code=error.exit_code or FAULT, document=details
        )


def _guarded(member: Member, act: Callable[[_Told], Result]) -> Result:
    told = _Told(member)
    try:
        return act(told)
    except SlimdeployError as error:
        return told.failed(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return told.result(State.FAILED, problem=f"this machine: {where}{error.strerror or error}", exit_code=2)


def _judged(result: Result, verdict: Verdict) -> Result:
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


def read(order: Order, member: Member) -> Result:
    """The reading, as `memory` on this host takes it."""

    def act(told: _Told) -> Result:
        from deploy.memory.budget import judge
        from deploy.memory.idle import idle_reading

        with seated(member) as place:
            told.place = place
            assert place.opened is not None, "seated is connected"
            held = claim(place, _layout(place, str(member.settings.get("prefix", ""))), Claimed())
            reading = idle_reading(place.opened, held.subject, circumstances=held.circumstances)
        verdict = judge(reading, order.budget)
        document = document_of(reading, verdict, place, held)
        document["history"] = history.kept(document, wanted=order.keep)
        release = (held.subject.sha256 or "")[:16]
        return _judged(told.result(State.UNCHANGED, document=document, release=release), verdict)

    return _guarded(member, act)


def _layout(place: Place, prefix: str) -> Layout:
    """Where the gateway lies: as the last deployment from here noted it, else as the host says when it is asked."""
    record = deployments.recall(place.board.name, str(place.host), place.machine)
    if record is not None and prefix in ("", record.prefix):
        return Layout(record.prefix, record.binary)
    assert place.opened is not None, "seated is connected"
    return reaching.installed(place.opened, place, prefix).layout


def run(order: Order, member: Member) -> Result:
    """A script of the user's in the host's shell: what it printed, and its status."""

    def act(told: _Told) -> Result:
        with seated(member) as place:
            told.place = place
            assert place.opened is not None, "seated is connected"
            script = Script("run what was asked", order.script, deadline_s=order.script_s)
            completed = place.opened.run(script)
        printed = {"stdout": clean(completed.stdout, _MOST_SHOWN), "stderr": clean(completed.stderr, _MOST_SHOWN)}
        document = {"exit_status": completed.exit_status, **printed}
        if completed.exit_status == 0:
            return told.result(State.UNCHANGED, document=document)
        last = printed["stderr"].strip().rpartition("\n")[2]
        problem = f"it ended with status {completed.exit_status}" + (f": {last}" if last else "")
        return told.result(State.FAILED, problem=problem, exit_code=4, document=document)

    return _guarded(member, act)


Deed = Callable[[Member], Result]


def reading(order: Order) -> Deed:
    """`read` with its order; can be pickled."""
    return partial(read, order)


def running(order: Order) -> Deed:
    """`run` with its order; can be pickled."""
    return partial(run, order)
