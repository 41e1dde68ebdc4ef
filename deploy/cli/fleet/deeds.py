"""Knows how one member is read, or asked something; how one is deployed to is `deploying.py`'s.

A deed is a function of plain values, so that a worker on another machine can be given it; what the controller remembers
is given to it, and what it is to remember is in the result (remembering.py). What goes over a whole fleet is
`fleet/pool.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from deploy.cli import reaching
from deploy.cli.claims import Claimed, claim_by, document_of
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.seats import seated
from deploy.cli.fleet.told import Told, guarded, judged
from deploy.cli.reaching import Place
from deploy.cli.service import status_rows
from deploy.model.artifact import RELEASE_ID_LENGTH
from deploy.model.deployment import Deployment
from deploy.model.display import clean
from deploy.model.fleet import Member
from deploy.model.layout import Layout
from deploy.model.rollout import Result, State
from deploy.service.detached import Detached
from deploy.transport.protocol import Script

_MOST_SHOWN = 65_536
"""Characters of what a script printed that are kept."""


def read(order: Order, member: Member) -> Result:
    """The reading, as `memory` on this host takes it."""

    def act(told: Told) -> Result:
        from deploy.memory.budget import judge
        from deploy.memory.idle import idle_reading

        with seated(order, member) as place:
            told.place = place
            assert place.opened is not None, "seated is connected"
            record = record_of(member, place)
            held = claim_by(record, place, _layout(record, place, str(member.settings.get("prefix", ""))), Claimed())
            reading = idle_reading(place.opened, held.subject, circumstances=held.circumstances)
        verdict = judge(reading, order.budget)
        document = document_of(reading, verdict, place, held)
        release = (held.subject.sha256 or "")[:16]
        return judged(told.result(State.UNCHANGED, document=document, release=release), verdict)

    return guarded(member, act)


def record_of(member: Member, place: Place) -> Deployment | None:
    """What is remembered of the last deployment to it; None where there was none."""
    return next((record for record in member.records if record.board == place.board.name), None)


def _layout(record: Deployment | None, place: Place, prefix: str) -> Layout:
    """Where the gateway lies: as the last deployment noted it, else as the host says when it is asked."""
    if record is not None and prefix in ("", record.prefix):
        return Layout(record.prefix, record.binary)
    assert place.opened is not None, "seated is connected"
    return reaching.installed(place.opened, place, prefix).layout


def run(order: Order, member: Member) -> Result:
    """A script of the user's in the host's shell: what it printed, and its status."""

    def act(told: Told) -> Result:
        with seated(order, member) as place:
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

    return guarded(member, act)


def look(order: Order, member: Member) -> Result:
    """What runs there now, as `status` tells it of one host. FAILED where nothing runs."""

    def act(told: Told) -> Result:
        with seated(order, member) as place:
            told.place = place
            assert place.opened is not None, "seated is connected"
            found = reaching.installed(place.opened, place, str(member.settings.get("prefix", "")))
            record = record_of(member, place)
            is_gateway = record is None or record.command is None
            rows = status_rows(place.opened, found.layout, found.manager or Detached.name, ask_it=is_gateway)
        release = str(rows.get("sha256", ""))[:RELEASE_ID_LENGTH]
        result = told.result(State.UNCHANGED, document=rows, release=release)
        if not rows["running"]:
            return replace(result, state=State.FAILED, problem="no gateway runs there", exit_code=4)
        if is_gateway and rows.get("health") == "no answer":
            return replace(result, problem="its gateway does not answer on its health port", exit_code=4)
        return result

    return guarded(member, act)


Deed = Callable[[Member], Result]


def looking(order: Order) -> Deed:
    """`look` with its order; can be pickled."""
    return partial(look, order)


def reading(order: Order) -> Deed:
    """`read` with its order; can be pickled."""
    return partial(read, order)


def running(order: Order) -> Deed:
    """`run` with its order; can be pickled."""
    return partial(run, order)
