"""Knows when a release has to travel, and how: what changed, where the board runs one that this machine built.

Else all of it, compressed where the board can unpack it; through the exec channel, always.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from deploy.board_shell.framing import Framing
from deploy.board_shell.installed import hash_script, parse_hash
from deploy.board_shell.push import CANNOT_RUN_STATUS, HASH_DIFFERS_STATUS, forget_push
from deploy.delta import built_with, difference
from deploy.errors import BuildFailed, CommandFailed, Refused, ToolchainMissing
from deploy.model.artifact import Artifact
from deploy.model.display import clean
from deploy.model.units import KIB, show_bytes
from deploy.steps.asking import attempt, failed, must
from deploy.steps.delivery import HASHERS, Sending, deliver
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.packing import FIRST_BYTES, UNPACKERS, WORTH_A_LOOK_BYTES, best, usual
from deploy.steps.space import SWITCHED_MEANWHILE_STATUS, drop, needed_kib, refuse_without_space, to_drop
from deploy.toolchain import find
from deploy.transport.packing import can_pack
from deploy.transport.protocol import Completed, Packed, Script

SLOWEST_LINK_BYTES_S = 8 * 1024
"""A push has this speed's time, and a minute: a link that is slower counts as hanging."""

_ASSUMED_BINARY_KIB = 6 * 1024
"""What a binary that is not built yet is taken to have: the gateway is 4.5 to 5.5 MiB, by the target."""

_WORTH_IT = 0.2
"""A difference of more than this share of the binary is hardly smaller than all of it, compressed."""


@dataclass(frozen=True, slots=True)
class Push:
    """Sends the artifact into its release folder; nothing that runs is touched."""

    title: str = "Push"

    def skip(self, job: Job) -> str | None:
        """A release that is there, whole, by its hash; one that is not the current one is hashed now."""
        artifact, releases = job.artifact, job.known.installed.releases
        if artifact is None or artifact.release_id not in releases:
            return None
        if artifact.sha256 != (releases[artifact.release_id] or _hashed(job, artifact.release_id)):
            return None
        return f"release {artifact.release_id} is on the board already"

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The scripts; their payload is the file itself where `run` makes a difference of it, or looks at the link."""
        if job.facts is None or job.artifact is None:
            return _sending(job, Path(job.plan.source.binary), packed=usual(_ways(job))).scripts()
        if _base(job):
            return _sending(job, job.artifact.path, packed="gzip", base=job.known.installed.current).scripts()
        there, how = _there(job), usual(_ways(job))
        return _sending(job, _rest(job, there, how), packed=how, goes_on=there > 0).scripts()

    def run(self, job: Job, observer: Observer) -> str:
        """Send it; raises Refused where the space does not suffice, CommandFailed where it did not arrive whole."""
        artifact = job.built
        self._make_room(job, observer)
        whole = f"{show_bytes(artifact.size_bytes)} to {job.layout.release(artifact.release_id)}"
        if sent := self._send_difference(job, observer):
            return f"{whole}, {show_bytes(sent)} sent: what changed since {job.known.installed.current}"
        there = _there(job)
        if there:
            observer.note(f"going on after the {show_bytes(there)} that an earlier push has sent")
        begun, sent, how, why = there, 0, usual(_ways(job)), ""
        if len(_ways(job)) > 2 and artifact.size_bytes - there > WORTH_A_LOOK_BYTES:
            begun, sent, how, why = self._begin(job, observer, there)
        sending = _sending(job, _rest(job, begun, how), packed=how, goes_on=begun > 0)
        completed = deliver(partial(_attempt, job, observer), sending)
        _refuse(job, completed)
        if completed.exit_status == HASH_DIFFERS_STATUS:
            raise CommandFailed("what arrived on the board is not what was sent", job.transport.host)
        if completed.exit_status != 0:
            raise failed(sending.scripts()[0], completed, job.transport.host)
        if there:
            whole += f", of which {show_bytes(there)} were there from an earlier push"
        return f"{whole}, {show_bytes(sent + completed.sent_bytes)} sent as {how}{why}" if how else whole

    def _make_room(self, job: Job, observer: Observer) -> None:
        """Drop what the deployment would drop at its end, where the release does not fit beside it."""
        facts, limits, host = job.known, job.plan.limits, job.transport.host
        wanted_kib = needed_kib(facts, job.built)
        refuse_without_space(facts, limits, job.release_id, wanted_kib, host)
        dropped = to_drop(facts, limits, job.release_id, wanted_kib)
        if not dropped:
            return
        held = facts.installed
        observer.note(f"dropping {', '.join(dropped)}, to make room")
        script = drop(job.layout, held.current, held.previous, dropped)
        ended = attempt(job, script)
        if ended.exit_status == SWITCHED_MEANWHILE_STATUS:
            raise Refused("changed_meanwhile", "another deployment has changed this board in the meantime", host)
        if ended.exit_status != 0:
            raise failed(script, ended, host)
        left = {each: sha256 for each, sha256 in held.releases.items() if each not in dropped}
        previous = "" if held.previous in dropped else held.previous
        job.facts = replace(facts, installed=replace(held, releases=left, previous=previous))

    def _begin(self, job: Job, observer: Observer, there: int) -> tuple[int, int, str, str]:
        """Send the beginning, and see how fast: where it ends, how many bytes went, how the rest goes, and why so."""
        how, ways = usual(_ways(job)), _ways(job)
        payload = Packed(job.built.path, how, FIRST_BYTES, there)
        script = replace(
            _sending(job, payload, packed=how, goes_on=there > 0).in_part(),
            title=f"send the beginning to {job.layout.release(job.release_id)}",
        )
        completed = attempt(job, script, observer.progress)
        _refuse(job, completed)
        if completed.exit_status != 0:
            raise failed(script, completed, job.transport.host)
        link_bytes_s = completed.sent_bytes / max(completed.seconds, 0.001)
        left = job.built.size_bytes - there - FIRST_BYTES
        chosen = best(ways, left, link_bytes_s)
        why = f": the link gave {show_bytes(int(link_bytes_s))} a second"
        return there + FIRST_BYTES, completed.sent_bytes, chosen, why

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
        sending = _sending(job, patch, packed="gzip", base=old.release_id)
        completed = deliver(partial(_attempt, job, observer), sending)
        _refuse(job, completed)
        if completed.exit_status == 0:
            return len(patch)
        why = failed(sending.scripts()[0], completed, job.transport.host).problem
        observer.note(f"the whole binary is sent, as the board {why}")
        return 0

    def undo(self, job: Job) -> None:
        """Remove a half-sent file. A whole one stays: it is harmless and saves the next push."""
        if job.artifact and job.locked:
            attempt(job, forget_push(job.layout, job.artifact.release_id))


def _ways(job: Job) -> tuple[str, ...]:
    """How a payload may travel to this board: always as it is."""
    # On the controller itself there is no link to spare, and packing would take longer than the copy.
    if job.facts is None or job.plan.board.connection == "loopback":
        return ("",)
    return ("", *(how for how, tool in UNPACKERS.items() if tool in job.known.tools and can_pack(how)))


def _rest(job: Job, start: int, how: str) -> Path | Packed:
    """The artifact from byte `start` on."""
    path = job.built.path
    return Packed(path, how, job.built.size_bytes - start, start) if how or start else path


def _attempt(job: Job, observer: Observer, script: Script) -> Completed:
    return attempt(job, script, observer.progress)


def _hashed(job: Job, release_id: str) -> str:
    framing = Framing.new()
    return parse_hash(framing, must(job.transport, hash_script(job.layout, release_id, framing)).stdout)


def _base(job: Job) -> Artifact | None:
    """The artifact of the release that is current on the board, where it can take a difference from it."""
    # A tree of the user's own may have no `patch`; and where there is no link to spare, none is worth making.
    if not (job.plan.source.in_repo and job.plan.command is None and "gzip" in _ways(job)):
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


def _sending(
    job: Job, payload: bytes | Path | Packed, *, packed: str, base: str = "", goes_on: bool = False
) -> Sending:
    # The plain size, compressed or not: a dry run, which compresses nothing, shows the same deadline.
    size_bytes = job.artifact.size_bytes if job.artifact else _ASSUMED_BINARY_KIB * KIB
    return Sending(
        job.layout,
        job.release_id,
        job.artifact.sha256 if job.artifact else job.release_id,
        payload,
        packed=packed,
        base=base,
        goes_on=goes_on,
        size_bytes=job.artifact.size_bytes if job.artifact else 0,
        deadline_s=60 + size_bytes / SLOWEST_LINK_BYTES_S,
        trial=job.plan.command is None,  # what else may start where it is run, nobody knows
        board_hashes=job.facts is None or bool(job.known.tools & HASHERS),
    )
