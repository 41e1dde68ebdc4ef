"""Knows which CA certificates a gateway is to trust, once the board has said what it has itself.

What a bundle holds is `deploy/ca_roots.py`'s; sending it is `configure.py`'s.
"""

from __future__ import annotations

from dataclasses import replace

from deploy import ca_roots
from deploy.model.facts import HostFacts
from deploy.steps.face import Plan

CHOICES = ("board", "trimmed", "full")
"""What `--ca` takes; "" takes the board's own bundle, and the trimmed one where it has none."""


def settled(plan: Plan, facts: HostFacts) -> Plan:
    """The plan with the CA bundle that the board is to be sent, or as it is where none is.

    A bundle of the user's own (`--ca-file`) is never replaced. Where the board has no CA bundle, the model that answers
    is checked against what is sent as well.
    """
    config = plan.config
    if plan.command is not None:
        return plan
    if config.ca_pem is not None:
        return plan if facts.ca_bundle else replace(plan, config=replace(config, ca_for_model=True))
    hosts = config.checked_hosts()
    wanted = plan.ca or ("board" if facts.ca_bundle or not hosts else "trimmed")
    if wanted == "board":
        return plan
    roots = ca_roots.full() if wanted == "full" else ca_roots.trimmed(hosts)
    return replace(plan, config=replace(config, ca_pem=roots.pem, ca_says=roots.says, ca_for_model=True))
