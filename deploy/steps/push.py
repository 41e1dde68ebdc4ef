"""Knows when a release has to travel, and how: what changed, where the board runs one that this machine built.

Else all of it, compressed where the board can unpack it; through the exec channel, always.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from deploy.board_shell.push import CANNOT_RUN_STATUS, HASH_DIFFERS_STATUS, forget_push, push_release
from deploy.delta import built_with, difference
from deploy.errors import BuildFailed, CommandFailed, Refused, ToolchainMissing
from deploy.model.artifact import Artifact
from deploy.model.display import clean
from deploy.model.units import KIB, show_bytes
from deploy.steps.asking import attempt, failed
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.preflight import ASSUMED_BINARY_KIB, needed_kib, refuse_without_space
from deploy.toolchain import find
from deploy.transport.protocol import Completed, Script

SLOWEST_LINK_BYTES_S = 8 * 1024
"""A push has this speed's time, and a minute: a link that is slower counts as hanging."""

_WORTH_IT = 0.2
"""A difference of more than this share of the binary is hardly smaller than all of it, compressed."""


@dataclass(frozen=True, slots=True)
class Push:
    """Sends the artifact into its release folder; nothing that runs is touched."""

    title: str = "Push"

    def skip(self, job: Job) -> str | None:
        """A release that is there, whole, by its hash."""
        if job.artifact and job.known.installed.releases.get(job.artifact.release_id) == job.artifact.sha256:
            return f"release {job.artifact.release_id} is on the board already"
        return None

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The script, with the file itself as its payload, also where `run` makes something smaller of it."""
        path = job.artifact.path if job.artifact else Path(job.plan.source.binary)
        sha256 = job.artifact.sha256 if job.artifact else job.release_id
        base = job.known.installed.current if job.facts and job.artifact and _base(job) else ""
        goes_on = job.facts is not None and job.artifact is not None and not base and _there(job) > 0
        return (_script(job, sha256, path, gzipped=_compresses(job), base=base, goes_on=goes_on),)

    def run(self, job: Job, observer: Observer) -> str:
        """Send it; raises Refused where the space does not suffice, CommandFailed where it did not arrive whole."""
        artifact = job.built
        place = job.known.place
        refuse_without_space(place.free_kib, needed_kib(job.known, artifact), place.mount_point, job.transport.host)
        whole = f"{show_bytes(artifact.size_bytes)} to {job.layout.release(artifact.release_id)}"
        if sent := self._send_difference(job, observer):
            return f"{whole}, {show_bytes(sent)} sent: what changed since {job.known.installed.current}"
        compresses, there = _compresses(job), _there(job)
        if there:
            observer.note(f"going on after the {show_bytes(there)} that an earlier push has sent")
        payload: bytes | Path = artifact.path
        if compresses or there:
            rest = artifact.path.read_bytes()[there:]
            payload = gzip.compress(rest, compresslevel=6, mtime=0) if compresses else rest
        script = _script(job, artifact.sha256, payload, gzipped=compresses, goes_on=there > 0)
        completed = attempt(job, script, observer.progress)
        _refuse(job, completed)
        if completed.exit_status == HASH_DIFFERS_STATUS:
            raise CommandFailed("what arrived on the board is not what was sent", job.transport.host)
        if completed.exit_status != 0:
            raise failed(script, completed, job.transport.host)
        if there:
            return f"{whole}, of which {show_bytes(there)} were there from an earlier push"
        return f"{whole}, {show_bytes(len(payload))} sent compressed" if isinstance(payload, bytes) else whole

    def _send_difference(self, job: Job, observer: Observer) -> int:
        """How many bytes went; 0 where all of it has to go, because there is no base or it did not work out."""
        if (old := _base(job)) is None:
            return 0
        observer.note(f"looking for what changed since {old.release_id}")
        try:
            patch = difference(old.path, job.built.path, find())
        except (BuildFailed, ToolchainMissing) as error:
            observer.note(f"the whole binary is sent: {error.problem}")
            return 0
        if len(patch) > job.built.size_bytes * _WORTH_IT:
            return 0
        script = _script(job, job.built.sha256, patch, gzipped=True, base=old.release_id)
        completed = attempt(job, script, observer.progress)
        _refuse(job, completed)
        if completed.exit_status == 0:
            return len(patch)
        why = failed(script, completed, job.transport.host).problem
        observer.note(f"the whole binary is sent, as the board {why}")
        return 0

    def undo(self, job: Job) -> None:
        """Remove a half-sent file. A whole one stays: it is harmless and saves the next push."""
        if job.artifact and job.locked:
            attempt(job, forget_push(job.layout, job.artifact.release_id))


def _compresses(job: Job) -> bool:
    # On the controller itself there is no link to spare, and gzip would take longer than the copy.
    return "gunzip" in job.known.tools and job.plan.board.connection != "loopback"


def _base(job: Job) -> Artifact | None:
    """The artifact of the release that is current on the board, where it can take a difference from it."""
    # A tree of the user's own may have no `patch`; and where there is no link to spare, none is worth making.
    if not (job.plan.source.in_repo and job.plan.command is None and _compresses(job)):
        return None
    sha256 = job.known.installed.releases.get(job.known.installed.current, "")
    old = built_with(sha256) if sha256 else None
    ours = old is not None and old.target == job.built.target and old.package == job.built.package
    return old if ours and sha256 != job.built.sha256 else None


def _there(job: Job) -> int:
    """How many bytes of this very artifact an earlier push has sent; 0 where what is there begins otherwise."""
    part = job.known.installed.parts.get(job.release_id)
    if part is None or not 0 < part.size_bytes < job.built.size_bytes:
        return 0
    with job.built.path.open("rb") as file:
        begins = hashlib.sha256(file.read(part.size_bytes)).hexdigest()
    return part.size_bytes if begins == part.sha256 else 0


def _refuse(job: Job, completed: Completed) -> None:
    """Raise Refused where no other way of sending would do better."""
    host, stderr = job.transport.host, clean(completed.stderr)
    if completed.exit_status == CANNOT_RUN_STATUS:
        said = "; ".join(line for line in stderr.splitlines() if line.strip())
        raise Refused("cannot_run", f"the new binary does not run on this board: {said}", host)
    if completed.exit_status != 0 and "No space left" in stderr:
        raise Refused("no_space", f"{job.known.place.mount_point} filled up while the release arrived", host)


def _script(
    job: Job, sha256: str, payload: bytes | Path, *, gzipped: bool, base: str = "", goes_on: bool = False
) -> Script:
    # The plain size, compressed or not: a dry run, which compresses nothing, shows the same deadline.
    size_bytes = job.artifact.size_bytes if job.artifact else ASSUMED_BINARY_KIB * KIB
    deadline_s = 60 + size_bytes / SLOWEST_LINK_BYTES_S
    trial = job.plan.command is None  # what else may start where it is run, nobody knows
    return push_release(
        job.layout,
        job.release_id,
        sha256,
        payload,
        gzipped=gzipped,
        base=base,
        goes_on=goes_on,
        deadline_s=deadline_s,
        trial=trial,
    )
