"""Knows how `fleet.provision` is told: what is to be changed, what would run, and what became of each host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.cli import provision
from deploy.cli.fleet.reviewing import Review
from deploy.cli.fleet.seating import Seat
from deploy.cli.fleet.telling import worst_exit_code
from deploy.model.rollout import State
from deploy.model.units import show_hosts
from deploy.report.silent import Shows


def show_changes(seats: Sequence[Seat], screen: Shows) -> None:
    """Every change, equal ones once, with the hosts that it is for."""
    changes: dict[str, list[str]] = {}
    for seat in seats:
        if seat.is_well:
            for title in seat.titles:
                changes.setdefault(title, []).append(seat.member.name)
    well = [seat for seat in seats if seat.is_well]
    by_password = sum(seat.entered is not None and seat.entered.by == "password" for seat in well)
    screen.say(f"Logged in to {len(well)} of {show_hosts(len(seats))}, {by_password} of them by password")
    if not changes:
        screen.say("Nothing is to be changed.")
        return
    screen.say("To be changed:", style="bold")
    for number, (title, names) in enumerate(changes.items(), 1):
        screen.say(f"  {number}. {title}\n       {' '.join(names)}")


def show_scripts(seats: Sequence[Seat], screen: Shows) -> None:
    """Each script as it would run, equal ones once."""
    scripts: dict[tuple[str, str], list[str]] = {}
    for seat in seats:
        assert seat.found is not None, "it has changes"
        for wish, change in seat.found.changes:
            scripts.setdefault((provision.label(wish), change.script.shown()), []).append(seat.member.name)
    for (label, text), names in scripts.items():
        screen.say(f"\n== {label}: {' '.join(names)}", style="bold")
        screen.say(text)


def show_end(seats: Sequence[Seat], screen: Shows, *, dry_run: bool) -> None:
    """How many hosts ended how."""
    counts: dict[str, int] = {}
    for seat in seats:
        what = _state(seat)
        counts[what] = counts.get(what, 0) + 1
    if dry_run:
        screen.say("\nNothing was changed.")
    screen.say(f"{show_hosts(len(seats))}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))


def _state(seat: Seat) -> str:
    """What became of it, in a word or two."""
    if not seat.is_well:
        return "unreachable" if seat.result and seat.result.state is State.UNREACHABLE else "failed"
    if any(each.changed for each in seat.done):
        return "changed"
    return "to do" if len(seat.done) < len(seat.found.judged if seat.found else ()) else "unchanged"


def document(seats: Sequence[Seat], review: Review, seconds: float, *, dry_run: bool) -> dict[str, Any]:
    """All of it as JSON (docs/json.md)."""
    results = [seat.result for seat in seats if seat.result is not None]
    return {
        "seconds": round(seconds, 3),
        "exit_code": worst_exit_code(results),
        "dry_run": dry_run,
        "host_keys": [
            {
                "host": each.key.host,
                "kind": each.key.key_type,
                "fingerprint": each.key.fingerprint,
                "members": [seat.member.name for seat in each.seats],
                "trusted": each.trusted or None,
            }
            for each in review.shown
        ],
        "hosts": [
            {
                "member": result.member,
                "host": result.host,
                "state": _state(seat),
                "problem": result.problem,
                "cure": result.cure,
                "exit_code": result.exit_code,
                "seconds": result.seconds,
                "provision": result.document if seat.is_well else None,
            }
            for seat, result in ((seat, seat.result) for seat in seats if seat.result is not None)
        ],
    }
