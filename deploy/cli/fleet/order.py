"""Knows what is to be done to every member of a fleet, as plain values; how, is the deeds' business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.model.artifact import Artifact
from deploy.model.board import Board
from deploy.model.verdict import Budget


@dataclass(frozen=True, slots=True)
class Order:
    """What one command does to each member. Holds references to secrets and no secret, as workers are sent it."""

    budget: Budget = field(default_factory=Budget)
    keep: bool = True
    """Whether readings go to the history."""
    script: str = ""
    """For `fleet.run`: what the board's shell runs."""
    script_s: float = 60.0
    source: Mapping[str, str] = field(default_factory=dict)
    """For `fleet.deploy`: the flags that say what is built (source, package, tags, ldflags, version, command); what
    else its flags say of a deployment stands in the members' settings already."""
    artifacts: tuple[Artifact, ...] = ()
    """What is built already, one for each target: no other binary of these targets is deployed."""
    carried: bool = False
    """Whether a worker elsewhere carries it out: the files of the controller came to it as parcels."""
    boards: Mapping[str, Board] = field(default_factory=dict)
    """What the members' boards are, as a worker may know others; without it they are looked up where they are used."""
    measure: bool = True
    gate_memory: bool = False
    rollout: str = ""
    """The rollout that this is part of. Whoever goes on with it after a kill takes over the boards that it holds."""
    release: str = ""
    """For `fleet.rollback`: the release to go back to; "" for the one before."""
