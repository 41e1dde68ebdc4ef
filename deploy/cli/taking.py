"""Knows which kind of reading is taken, of what, and how its progress is told; taking it is `deploy/memory`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from deploy.cli.claims import Claim, circumstances_of
from deploy.cli.reaching import Place
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.live import Load, live_reading
from deploy.memory.subject import Subject
from deploy.model.artifact import RELEASE_ID_LENGTH
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Verdict
from deploy.service.face import ServiceManager
from deploy.steps.face import Job, Observer
from deploy.steps.measure import TakeReading
from deploy.telegram.user_account import UserCount
from deploy.telegram.user_side import UserSide
from deploy.transport.protocol import Transport


def taker(place: Place, budget: Budget, messages: int) -> TakeReading:
    """How a deployment to `place` measures: live where its gateway talks to our stand-in already, else idle."""

    def take(job: Job, observer: Observer) -> tuple[Reading, Verdict]:
        about = place.circumstances | circumstances_of(job.built)
        subject = Subject(job.layout, job.built.sha256, job.plan.limits, process=job.process)
        held = Claim(subject, job.plan.config.health_port, about)
        if place.kept is not None and job.plan.config.base_url == place.kept.base_url:
            reading = live_of(place, job.transport, held, Load(messages), observer)
        else:
            observer.note("sampling until VmRSS is steady")
            reading = idle_reading(job.transport, subject, circumstances=about)
        return reading, judge(reading, budget)

    return take


def live_of(
    place: Place,
    transport: Transport,
    held: Claim,
    load: Load,
    observer: Observer,
    *,
    led: ServiceManager | None = None,
) -> Reading:
    """A live reading: of the gateway itself where it talks to our stand-in, else of a second instance beside it.

    With `led`, which keeps the gateway in service, that one is led to a stand-in for the time of the messages.
    """
    subject = held.subject
    from deploy.memory.in_place import in_place
    from deploy.memory.second_instance import second_instance

    if place.kept is not None:
        return _under_load(transport, held, place.kept.user_side(), load, observer)
    if led is not None:
        with in_place(transport, led, held.health_port, lasts_s=load.deadline_s, note=observer.note) as it:
            about = {"instance": "the one in service, led to a stand-in meanwhile", "way to the stand-in": it.way}
            about |= held.circumstances
            claimed = replace(held, subject=replace(subject, process=it.process), circumstances=about)
            return _under_load(transport, claimed, it.user_side, load, observer)
    assert subject.sha256 is not None, "a claim names a binary"
    limits = subject.limits or place.board.limits
    release_id = subject.sha256[:RELEASE_ID_LENGTH]
    with second_instance(transport, subject.layout, release_id, limits, user=held.user, note=observer.note) as second:
        own = replace(subject, layout=second.layout, process=second.process, limits=limits)
        about = {"instance": "a second one, beside the gateway in service", "way to the stand-in": second.way}
        about |= held.circumstances
        return _under_load(transport, Claim(own, second.health_port, about), second.user_side, load, observer)


def real_of(
    transport: Transport,
    held: Claim,
    messages: int,
    within_s: int,
    observer: Observer,
    send: Callable[[], UserCount] | None = None,
) -> Reading:
    """A live reading of the gateway in service, with messages of people, or of the account that `send` writes from."""
    from deploy.memory.real import real_reading

    if send is None:
        observer.note(f"waiting up to {within_s} s for {messages} messages: write to the bot")
    else:
        observer.note(f"{messages} messages from your account, up to {within_s} s; then sampling until VmRSS is steady")
    return real_reading(
        transport,
        held.subject,
        health_port=held.health_port,
        messages=messages,
        deadline_s=within_s,
        circumstances=held.circumstances,
        progress=observer.progress,
        send=send,
    )


def _under_load(transport: Transport, held: Claim, users: UserSide, load: Load, observer: Observer) -> Reading:
    observer.note(f"{load.messages} messages from users, over TLS; then sampling until VmRSS is steady")
    return live_reading(
        transport,
        held.subject,
        users,
        health_port=held.health_port,
        load=load,
        circumstances=held.circumstances,
        progress=observer.progress,
    )
