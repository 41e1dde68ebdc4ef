"""Knows how a rollout is begun, gone on with, and asked for its end; how it goes is `fleet/engine.py`'s.

What of it is kept is enough to go on from another process: the flags as they were given, and what was built.
"""

from __future__ import annotations

import json as json_format
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from deploy import history
from deploy.cli import options
from deploy.cli.ending import INTERRUPTED
from deploy.cli.fleet import ended
from deploy.cli.fleet.building import build_all, planned, still_there
from deploy.cli.fleet.choosing import MOST_AT_ONCE, SOURCE, Chosen, choose, show_notes
from deploy.cli.fleet.deploying import deploying, leading_back, rehearsing
from deploy.cli.fleet.look import all_of
from deploy.cli.fleet.onlookers import onlooker, wave_title
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.overriding import Flags, overridden, refuse_shared_bots
from deploy.cli.fleet.remembering import book
from deploy.cli.fleet.spreading import HERE, Force, Spread, refuse_unknown_boards, workforce
from deploy.cli.fleet.telling import results_document, worst_exit_code
from deploy.errors import UsageError
from deploy.fleet.engine import Run, Work
from deploy.fleet.gates import parse_gate, parse_max_fail
from deploy.fleet.inventory import read
from deploy.fleet.rollouts import Rollouts, new_id
from deploy.fleet.waves import parse_waves, plan_waves
from deploy.interrupts import noted_interrupts
from deploy.model.fleet import Member
from deploy.model.rollout import OnFailure, Phase, Policy, Result, Rollout
from deploy.model.units import show_hosts
from deploy.report import silent
from deploy.report.problems import problem_lines, problems_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A rollout as the flags ask for it; `flags` are those of `fleet.deploy` that were given, with underscores."""

    inventory: str
    limit: str
    policy: Policy
    flags: Flags
    spread: Spread = HERE
    """Who carries it out; no part of what is kept: who resumes it says it anew."""

    @property
    def order(self) -> Order:
        """What is done to each member. Raises UsageError."""
        return order_of(self.flags)

    def chosen(self) -> Chosen:
        """The members, with the flags over their own settings. Raises UsageError's leaves."""
        found = choose(self.inventory, self.limit, str(self.policy.at_once))
        members = overridden(found.members, self.flags)
        if not self.flags.get("command"):
            refuse_shared_bots(members)
        if self.spread:
            refuse_unknown_boards(members)
        return replace(found, members=members)


def order_of(flags: Flags) -> Order:
    """What the flags ask for. Raises UsageError."""
    return Order(
        budget=options.budget(str(flags.get("budget", "")), str(flags.get("peak_budget", ""))),
        keep=bool(flags.get("keep", True)),
        source={name: str(flags[name]) for name in SOURCE if flags.get(name)},
        measure=bool(flags.get("measure", True)),
        gate_memory=bool(flags.get("gate_memory")),
    )


def begin(asked: Asked, *, as_json: bool, junit: Path | None) -> int:
    """Build what the fleet needs, keep the rollout, carry it out; the exit code. Raises UsageError's leaves."""
    if source := asked.flags.get("source"):  # who resumes it may be in another folder
        asked = replace(asked, flags={**asked.flags, "source": str(Path(str(source)).expanduser().absolute())})
    chosen, screen = asked.chosen(), silent.screen(as_json=as_json)
    show_notes(screen, chosen)
    with workforce(asked.spread, chosen.members, asked.policy.at_once, screen.say) as force:
        order = replace(asked.order, artifacts=build_all(asked.order, chosen.members, screen.say))
        members, given = force.ready(chosen.members, order)
        names = [member.name for member in members]
        rollout = Rollout(
            id=new_id(),
            begun_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            phase=Phase.RUNNING,
            policy=asked.policy,
            inventory=chosen.reference,
            wishes=dict(asked.flags),
            waves=plan_waves(asked.policy.waves, names),
            artifacts=order.artifacts,
        )
        waves_said = f" in {len(rollout.waves)} waves" if len(rollout.waves) > 1 else ""
        screen.say(f"rollout {rollout.id}: {show_hosts(len(names))}{waves_said}")
        with Rollouts() as kept:
            kept.begin(rollout)
            return carry_out(rollout, members, given, kept, force, as_json=as_json, junit=junit)


def resume(text: str, spread: Spread = HERE, *, as_json: bool, junit: Path | None) -> int:
    """Go on with a rollout; the exit code. Raises UsageError's leaves."""
    with Rollouts() as kept:
        found = kept.one(text)
        left = len(kept.unfinished(found.id))
        if left:
            still_there(found.artifacts)
        order = replace(order_of(found.wishes), artifacts=found.artifacts)
        its = {name for wave in found.waves for name in wave.members}
        inventory = [member for member in read(found.inventory).members if member.name in its]
        members = overridden(inventory, found.wishes)
        screen = silent.screen(as_json=as_json)
        screen.say(f"rollout {found.id}: {show_hosts(left)} {'is' if left == 1 else 'are'} left")
        spread = spread if left else HERE
        if spread:
            refuse_unknown_boards(members)
        with workforce(spread, members, found.policy.at_once, screen.say) as force:
            members, given = force.ready(members, order)
            return carry_out(found, members, given, kept, force, as_json=as_json, junit=junit)


def carry_out(
    rollout: Rollout,
    members: tuple[Member, ...],
    order: Order,
    kept: Rollouts,
    force: Force,
    *,
    as_json: bool,
    junit: Path | None,
) -> int:
    """Carry it out from where it stands, show how it goes, and how it ended; the exit code."""
    screen = silent.screen(as_json=as_json)
    began_s = time.monotonic()
    order = replace(order, rollout=rollout.id)
    work = Work(deploying(order), lambda releases: leading_back(order, releases))
    before = kept.results(rollout.id, documents=False)
    with (
        history.held_open(),
        noted_interrupts(_tell_interrupted) as interrupted,
        onlooker(screen, rollout, before, as_json=as_json) as looks_on,
    ):
        by_name = {member.name: member for member in members}
        run = Run(
            rollout,
            by_name,
            work,
            force,
            kept,
            looks_on,
            lambda: interrupted() or force.lost,
            book(keep=order.keep),
        )
        phase = run.carry_out()
        was_interrupted = interrupted()
    if force.lost and phase is Phase.PAUSED:
        kept.phase(rollout.id, phase, "the connection to the workers broke")
    now = kept.one(rollout.id)
    code = ended.exit_code(run.results, phase, missed=bool(run.missed))
    seconds = time.monotonic() - began_s
    if junit is not None:
        ended.write_junit(junit, now, run.results)
    if as_json:
        whole = kept.results(rollout.id)
        print(json_format.dumps(ended.document(now, whole, run.missed, code, seconds), indent=2))
    else:
        ended.show(screen, now, run.results, seconds)
    return INTERRUPTED if was_interrupted and phase is Phase.PAUSED else code


def _tell_interrupted() -> None:
    print(
        "\nending: hosts under way come to their end, no other is begun (once more to leave at once)", file=sys.stderr
    )


def policy_of(waves: str, gates: Sequence[str], max_fail: str, on_failure: str, pause: str, at_once: str) -> Policy:
    """What the flags say of when it goes on. Raises UsageError."""
    try:
        then = OnFailure(on_failure.strip().lower())
    except ValueError:
        known = ", ".join(each.value for each in OnFailure)
        raise UsageError(f"--on-failure takes {known}, and not {on_failure!r}") from None
    return Policy(
        waves=parse_waves(waves),
        gates=tuple(parse_gate(text).text for text in gates),
        max_fail=parse_max_fail(max_fail),
        on_failure=then,
        pause_s=options.duration_s(pause, "pause", least=0.001, most=7 * 86400.0) if pause else 0.0,
        at_once=options.count(at_once, "at-once", most=MOST_AT_ONCE),
    )


def rehearse(asked: Asked, *, as_json: bool, junit: Path | None) -> int:
    """Ask the hosts, and show the waves, the builds and what would become of each host; the exit code of the worst."""
    chosen, order, screen = asked.chosen(), asked.order, silent.screen(as_json=as_json)
    show_notes(screen, chosen)
    waves = plan_waves(asked.policy.waves, [member.name for member in chosen.members])
    builds = [
        {"target": str(target), "version": artifact.version if artifact else None, "built": artifact is not None}
        for target, artifact in planned(order, chosen.members)
    ]
    began_s = time.monotonic()
    if asked.spread:  # no worker builds, not even to say what it would deploy
        order = replace(order, artifacts=build_all(order, chosen.members, screen.say))
    results = all_of(chosen, rehearsing, order, lambda _: None, asked.spread, screen.say)
    if as_json:
        listed = {"waves": [{"number": wave.number, "hosts": list(wave.members)} for wave in waves], "builds": builds}
        print(json_format.dumps(listed | results_document(results, time.monotonic() - began_s), indent=2))
        return worst_exit_code(results)
    for each in builds:
        screen.say(f"{each['target']}: {'built already' if each['built'] else 'to be built'}")
    found = {result.member: result for result in results}
    for wave in waves:
        screen.say(wave_title(wave, len(waves), len(wave.members)))
        for name in wave.members:
            screen.say(f"  {name}  {_would(found[name])}")
    for line in problem_lines(problems_of(results)):
        screen.say(line)
    screen.say("Nothing was changed.")
    return worst_exit_code(results)


def _would(result: Result) -> str:
    would = (result.document or {}).get("would")
    if would is None:
        return result.state.value
    release = f" release {result.release}" if result.release else ""
    return f"would be given{release} ({', '.join(would).lower()})" if would else "nothing to do"


def ask(text: str, request: str, said: str) -> int:
    """Ask `request` of whoever carries the rollout out, and tell `said`; the exit code. Raises UsageError."""
    from deploy.report.console import Screen

    with Rollouts() as kept:
        found = kept.one(text)
        if kept.holder(found.id) is not None:
            kept.ask(found.id, request)
        elif request == "pause":
            raise UsageError(f"rollout {found.id} is not under way: it is {found.phase.value}")
        else:
            kept.phase(found.id, Phase.ABORTED, "somebody asked for it (fleet.abort)")
            said = "nobody carried it out; it is never gone on with"
    Screen().say(f"rollout {found.id}: {said}")
    return 0
