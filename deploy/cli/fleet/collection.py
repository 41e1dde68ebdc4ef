"""Puts `fleet.*` together."""

from __future__ import annotations

from invoke.collection import Collection

from deploy.cli.fleet import discover, look, provision, rollout, state


def collection() -> Collection:
    """`fleet.*`."""
    found = Collection("fleet")
    for each in (look.listing, look.memory, look.run):
        found.add_task(each)
    for each in (rollout.deploy, rollout.resume, rollout.pause, rollout.abort):
        found.add_task(each)
    for each in (state.status, state.rollouts, state.rollback):
        found.add_task(each)
    found.add_task(provision.provision_fleet)
    found.add_task(discover.discover)
    return found
