"""Knows what a reading is held against: what this machine deployed to the host last, or what the user claims."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from deploy import deployments
from deploy.board_shell.finding import Finding
from deploy.cli import options
from deploy.cli.reaching import Place
from deploy.cli.wording import PROGRAM
from deploy.errors import NothingThere, UsageError
from deploy.memory.subject import Subject
from deploy.model.artifact import Artifact
from deploy.model.deployment import Deployment
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.reading import Reading
from deploy.model.verdict import Verdict
from deploy.report.documents import limits_document, process_document, reading_document
from deploy.steps.face import Job

MOST_PID = 4_194_304
"""PID_MAX_LIMIT of a 64-bit kernel (proc_sys_kernel(5), pid_max)."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the flags claim, as the user wrote it; "" where a flag was not given."""

    sha256: str = ""
    pid: str = ""
    memory_limit: str = ""
    gc_percent: str = ""
    max_procs: str = ""
    exe: str = ""
    name: str = ""
    unit: str = ""

    @property
    def of_a_stranger(self) -> bool:
        """Whether it is about a process that is found by what it is, and not by what was deployed."""
        return bool(self.exe or self.name or self.unit)


@dataclass(frozen=True, slots=True)
class Claim:
    """The process and what it is claimed to be; where its health port is; the circumstances that the record adds."""

    subject: Subject
    health_port: int
    circumstances: dict[str, str]
    user: str = ""
    """The user of its own that the gateway was given; "" for the login's."""


def claim(place: Place, layout: Layout, claimed: Claimed) -> Claim:
    """The claim about the gateway under `layout`. Raises NothingThere where nothing says which binary it should be."""
    return claim_by(deployments.recall(place.board.name, str(place.host), place.machine), place, layout, claimed)


def claim_by(record: Deployment | None, place: Place, layout: Layout, claimed: Claimed) -> Claim:
    """As `claim`, by the `record` of the last deployment there; None where there was none."""
    if record is not None and record.prefix != layout.prefix:
        record = None
    sha256 = options.sha256(claimed.sha256) or (record.sha256 if record else "")
    if not sha256:
        raise NothingThere(
            f"nothing says which binary should run on {place.host}: this machine has no record of a deployment to it "
            f"({PROGRAM} deploy {place.flags} makes one; {PROGRAM} memory {place.flags} --sha256 HASH names the binary "
            "otherwise)",
        )
    base = record.limits if record else place.board.limits
    limits = options.limits(base, claimed.memory_limit, claimed.gc_percent, claimed.max_procs)
    pid = options.count(claimed.pid, "pid", most=MOST_PID) if claimed.pid else None
    named = Layout(layout.prefix, record.binary) if record else layout
    own = record is not None and record.sha256 == sha256
    circumstances = dict(record.circumstances) if record is not None and own else {}
    return Claim(
        subject=Subject(named, sha256, limits, pid=pid),
        health_port=record.health_port if record else place.board.health_port,
        circumstances=place.circumstances | circumstances,
        user=record.user if record else "",
    )


def strangers_claim(place: Place, claimed: Claimed) -> Claim:
    """The claim about a process that slimdeploy did not start: what the flags say of it, and nothing else."""
    named = {way: what for way, what in (("exe", claimed.exe), ("name", claimed.name), ("unit", claimed.unit)) if what}
    if len(named) + bool(claimed.pid) > 1:
        raise UsageError("--pid, --exe, --name and --unit each name the process: take one of them")
    finding = next((Finding(way, what) for way, what in named.items()), None)
    if finding is not None and finding.fault:
        raise UsageError(f"--{finding.way} {finding.what!r} {finding.fault}")
    limits = None
    if claimed.memory_limit or claimed.gc_percent or claimed.max_procs:
        limits = options.limits(Limits(), claimed.memory_limit, claimed.gc_percent, claimed.max_procs)
    subject = Subject(
        Layout(place.board.prefix),
        options.sha256(claimed.sha256) or None,
        limits,
        pid=options.count(claimed.pid, "pid", most=MOST_PID) if claimed.pid else None,
        ours=False,
        finding=finding,
    )
    return Claim(subject, 0, place.circumstances)


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


def document_of(reading: Reading, verdict: Verdict, place: Place, held: Claim) -> dict[str, Any]:
    """What `memory --json` prints of a reading (docs/json.md), without its number in the history."""
    subject = held.subject
    return reading_document(reading, verdict) | {
        "board": place.board.name,
        "host": str(place.host),
        "artifact": {"sha256": subject.sha256},
        "process": process_document(reading.samples[-1].process if reading.samples else None),
        "limits": limits_document(subject.limits) if subject.limits else None,
    }


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
