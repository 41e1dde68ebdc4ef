"""Knows how one member is deployed to, rehearsed, or led back to the release before; each ends in a Result.

Which members, in which waves, is `fleet/engine.py`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from deploy.board_shell.lock import Lock
from deploy.cli import claims
from deploy.cli.fleet.deeds import record_of
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.seats import seated
from deploy.cli.fleet.told import Told, guarded, judged
from deploy.cli.going_back import go, way_of
from deploy.cli.planning import Wishes, plan_for
from deploy.cli.reaching import Place
from deploy.cli.secret_sources import Sources
from deploy.cli.taking import taker
from deploy.errors import SlimdeployError
from deploy.fleet import parcels
from deploy.fleet.pool import Deed
from deploy.model.artifact import Artifact
from deploy.model.fleet import Member
from deploy.model.rollout import Result, State
from deploy.once import Once
from deploy.pipeline import carry_out, deployment, rehearse
from deploy.report.documents import deployment_document
from deploy.report.silent import Silent
from deploy.steps.face import Job, Step
from deploy.steps.shared_build import SharedBuild

_BUILT: Once[Artifact] = Once()
"""What this process has built: members share it, also where none of them says its board beforehand."""


def wishes_of(order: Order, member: Member) -> Wishes:
    """The flags and the member's settings as those of `deploy`."""
    said = {name: str(value) for name, value in member.settings.items() if not isinstance(value, bool)}
    said.pop("identity", "")
    if order.carried and "ca_file" in said:
        said["ca_file"] = parcels.file_here(said["ca_file"])

    def sources(secret: str) -> Sources:
        file, command, keyring = (said.pop(f"{secret}_{kind}", "") for kind in ("file", "command", "keyring"))
        return Sources(file, command, keyring, asks=False)

    return Wishes(
        token=sources("token"),
        api_key=sources("api_key"),
        set_clock=bool(member.settings.get("set_clock")),
        tree_is_here=not order.carried,
        **said,
        **order.source,
    )


def deploy(order: Order, member: Member) -> Result:
    """What `deploy` does on this one host, and what came of it."""

    def act(told: Told) -> Result:
        with seated(order, member) as place:
            told.place = place
            return _deployed(told, order, member, place)

    return guarded(member, act)


def _deployed(told: Told, order: Order, member: Member, place: Place) -> Result:
    job = _job(order, member, place)
    try:
        records = carry_out(_steps(order, job, place), job, Silent())
    except SlimdeployError as error:
        told.changed = job.switched
        if not job.committed:
            raise
        # The new release runs, and only its reading failed.
        return told.failed(error, State.DEPLOYED, record=claims.record_of(job, place), **_releases(job))
    seconds = time.monotonic() - told.began_s
    document = deployment_document(job, records, board=place.board.name, host=str(place.host), seconds=seconds)
    state = State.DEPLOYED if document["changed"] else State.UNCHANGED
    result = told.result(state, document=document, record=claims.record_of(job, place), **_releases(job))
    return judged(result, job.verdict) if job.verdict else result


def rehearsed(order: Order, member: Member) -> Result:
    """What a deployment would do there: the host is asked, nothing is changed."""

    def act(told: Told) -> Result:
        with seated(order, member) as place:
            told.place = place
            job = _job(order, member, place)
            rows = rehearse(_steps(order, job, place), job, Silent())
        would = [row.title for row in rows if row.skipped is None and row.title in ("Push", "Configure", "Start")]
        steps = [{"title": row.title, "skipped": row.skipped} for row in rows]
        document = {"steps": steps, "would": would}
        return told.result(State.WAITING if would else State.UNCHANGED, document=document, **_releases(job))

    return guarded(member, act)


def led_back(order: Order, releases: Mapping[str, str], member: Member) -> Result:
    """The release of `releases`, or the one before, runs there again, with the config by which it ran."""

    def act(told: Told) -> Result:
        with seated(order, member) as place:
            told.place = place
            assert place.opened is not None, "seated is connected"
            prefix = str(member.settings.get("prefix", ""))
            wanted = releases.get(member.name, order.release)
            record = record_of(member, place)
            is_gateway = not order.source.get("command") and (record is None or record.command is None)
            gone = go(way_of(place, place.opened, prefix=prefix, release=wanted, is_gateway=is_gateway))
        return told.result(
            State.ROLLED_BACK,
            release=gone.to.release_id,
            release_before=gone.held.current,
            document=gone.document(place),
        )

    return guarded(member, act)


def _job(order: Order, member: Member, place: Place) -> Job:
    assert place.opened is not None, "seated is connected"
    lock = Lock.mine(f"{order.rollout} {member.name}" if order.rollout else "")
    return Job(plan_for(place, wishes_of(order, member)), place.opened, lock)


def _steps(order: Order, job: Job, place: Place) -> tuple[Step, ...]:
    found = map(parcels.artifact_here, order.artifacts) if order.carried else order.artifacts
    given = {artifact.target: artifact for artifact in found}
    take = taker(place, order.budget, 0) if order.measure else None
    gate, clock = order.gate_memory, job.plan.set_clock
    return deployment(take, set_clock=clock, gate=gate, build=SharedBuild(_BUILT, given))


def _releases(job: Job) -> dict[str, str]:
    return {
        "release": job.artifact.release_id if job.artifact else "",
        "release_before": job.facts.installed.current or "" if job.facts else "",
    }


def deploying(order: Order) -> Deed:
    """`deploy` with its order; can be pickled."""
    return partial(deploy, order)


def rehearsing(order: Order) -> Deed:
    """`rehearsed` with its order; can be pickled."""
    return partial(rehearsed, order)


def leading_back(order: Order, releases: Mapping[str, str]) -> Deed:
    """`led_back` with its order; can be pickled."""
    return partial(led_back, order, dict(releases))
