"""Knows when a release has to travel, and how: through the exec channel, compressed where the board can unpack it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

from deploy.board_shell.push import CANNOT_RUN_STATUS, HASH_DIFFERS_STATUS, forget_push, push_release
from deploy.errors import CommandFailed, Refused
from deploy.model.display import clean
from deploy.model.units import KIB, show_bytes
from deploy.steps.asking import attempt, failed
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.preflight import ASSUMED_BINARY_KIB, refuse_without_space
from deploy.transport.protocol import Script

SLOWEST_LINK_BYTES_S = 8 * 1024
"""A push has this speed's time, and a minute: a link that is slower counts as hanging."""


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
        """The script, with the file itself as its payload, also where `run` compresses it on the way."""
        path = job.artifact.path if job.artifact else Path(job.plan.source.binary)
        sha256 = job.artifact.sha256 if job.artifact else job.release_id
        return (_script(job, sha256, path, _compresses(job)),)

    def run(self, job: Job, observer: Observer) -> str:
        """Send it; raises Refused where the space does not suffice, CommandFailed where it did not arrive whole."""
        artifact = job.built
        place = job.known.place
        refuse_without_space(place.free_kib, artifact.size_bytes // 1024 + 1, place.mount_point, job.transport.host)
        compresses = _compresses(job)
        payload: bytes | Path = artifact.path
        if compresses:
            payload = gzip.compress(artifact.path.read_bytes(), compresslevel=6, mtime=0)
        script = _script(job, artifact.sha256, payload, compresses)
        completed = attempt(job, script, observer.progress)
        if completed.exit_status == HASH_DIFFERS_STATUS:
            raise CommandFailed("what arrived on the board is not what was sent", job.transport.host)
        if completed.exit_status == CANNOT_RUN_STATUS:
            said = "; ".join(line for line in clean(completed.stderr).splitlines() if line.strip())
            raise Refused("cannot_run", f"the new binary does not run on this board: {said}", job.transport.host)
        if completed.exit_status != 0:
            problem = failed(script, completed, job.transport.host)
            if "No space left" in problem.stderr:
                raise Refused("no_space", f"{place.mount_point} filled up while the release arrived", problem.host)
            raise problem
        sent = len(payload) if isinstance(payload, bytes) else artifact.size_bytes
        how = f", {show_bytes(sent)} sent compressed" if compresses else ""
        return f"{show_bytes(artifact.size_bytes)} to {job.layout.release(artifact.release_id)}{how}"

    def undo(self, job: Job) -> None:
        """Remove a half-sent file. A whole one stays: it is harmless and saves the next push."""
        if job.artifact and job.locked:
            attempt(job, forget_push(job.layout, job.artifact.release_id))


def _compresses(job: Job) -> bool:
    # On the controller itself there is no link to spare, and gzip would take longer than the copy.
    return "gunzip" in job.known.tools and job.plan.board.connection != "loopback"


def _script(job: Job, sha256: str, payload: bytes | Path, gzipped: bool) -> Script:
    # The plain size, compressed or not: a dry run, which compresses nothing, shows the same deadline.
    size_bytes = job.artifact.size_bytes if job.artifact else ASSUMED_BINARY_KIB * KIB
    deadline_s = 60 + size_bytes / SLOWEST_LINK_BYTES_S
    trial = job.plan.command is None  # what else may start where it is run, nobody knows
    return push_release(
        job.layout, job.release_id, sha256, payload, gzipped=gzipped, deadline_s=deadline_s, trial=trial
    )
