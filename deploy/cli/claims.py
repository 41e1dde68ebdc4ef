"""Knows what a reading is held against: what this machine deployed to the host last, or what the user claims."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from deploy import deployments
from deploy.cli import options
from deploy.cli.reaching import Place
from deploy.cli.wording import PROGRAM
from deploy.errors import NotMeasured, UsageError
from deploy.memory.subject import Subject
from deploy.model.artifact import Artifact
from deploy.model.deployment import Deployment
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.steps.face import Job


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the flags claim, as the user wrote it; "" where a flag was not given."""

    sha256: str = ""
    pid: str = ""
    memory_limit: str = ""
    gc_percent: str = ""
    max_procs: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The process and what it is claimed to be; where its health port is; the circumstances that the record adds."""

    subject: Subject
    health_port: int
    circumstances: dict[str, str]
    user: str = ""
    """The user of its own that the gateway was given; "" for the login's."""


def claim(place: Place, layout: Layout, claimed: Claimed) -> Claim:
    """The claim about the gateway under `layout`. Raises NotMeasured where nothing says which binary it should be."""
    record = deployments.recall(place.board.name, str(place.host), place.machine)
    if record is not None and record.prefix != layout.prefix:
        record = None
    sha256 = claimed.sha256.lower() or (record.sha256 if record else "")
    if claimed.sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise UsageError("--sha256 takes the 64 hexadecimal digits of a SHA-256")
    if not sha256:
        raise NotMeasured(
            f"nothing says which binary should run on {place.host}: this machine has no record of a deployment to it "
            f"({PROGRAM} deploy {place.flags} makes one; --sha256 names the binary otherwise)"
        )
    base = record.limits if record else place.board.limits
    limits = options.limits(base, claimed.memory_limit, claimed.gc_percent, claimed.max_procs)
    pid = options.count(claimed.pid, "pid", most=4_194_304) if claimed.pid else None
    named = Layout(layout.prefix, record.binary) if record else layout
    own = record is not None and record.sha256 == sha256
    circumstances = dict(record.circumstances) if record is not None and own else {}
    return Claim(
        subject=Subject(named, sha256, limits, pid=pid),
        health_port=record.health_port if record else place.board.health_port,
        circumstances=place.circumstances | circumstances,
        user=record.user if record else "",
    )


def record_of(job: Job, place: Place) -> Deployment:
    """What the deployment that has just been verified claims from now on."""
    limits: Limits = job.plan.limits
    return Deployment(
        board=place.board.name,
        host=str(place.host),
        prefix=job.layout.prefix,
        binary=job.layout.name,
        sha256=job.built.sha256,
        limits=limits,
        health_port=job.plan.config.health_port,
        base_url=job.plan.config.base_url or "",
        command=None if job.plan.command is None else shlex.join(job.plan.command),
        user=job.account.name,
        machine=place.machine,
        circumstances=circumstances_of(job.built),
    )


def circumstances_of(artifact: Artifact) -> dict[str, str]:
    """What the controller knows of the binary that is measured."""
    return {
        "version": artifact.version,
        "target": str(artifact.target),
        "tags": " ".join(artifact.tags) or "none",
        "ldflags": artifact.ldflags,
        "Go": artifact.toolchain,
        "source revision": artifact.revision or "not in git",
    }
