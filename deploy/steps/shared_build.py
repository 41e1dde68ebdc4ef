"""Knows how many deployments at once share one build: made by the first that needs it, taken by all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.build import build, find_built
from deploy.model.artifact import Artifact
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.model.units import show_bytes
from deploy.once import Once
from deploy.steps.build import Build
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.toolchain import find
from deploy.transport.protocol import Script


@dataclass(frozen=True, slots=True)
class SharedBuild:
    """As `Build`, but a source is read, and a target built, once for all deployments of this process."""

    made: Once[Artifact]
    given: Mapping[Target, Artifact] = field(default_factory=dict)
    """Binaries that are to be deployed whatever the source says now."""
    title: str = "Build"

    def skip(self, job: Job) -> str | None:
        """Where it was built for another host, or before, it becomes the job's."""
        job.artifact = self.given.get(job.plan.board.target) or self.made.peek(_key(job))
        return f"{job.artifact.name} {job.artifact.version} is built already" if job.artifact else None

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The one `go build`, where it is not built yet."""
        return Build().commands(job)

    def run(self, job: Job, observer: Observer) -> str:
        """Build it, or wait for who does. Raises UsageError's leaves, BuildFailed among them."""
        job.artifact = self.artifact(*_key(job))
        return f"{job.artifact.name} {job.artifact.version}, {show_bytes(job.artifact.size_bytes)}"

    def artifact(self, source: Source, target: Target, version: str) -> Artifact:
        """The one artifact of these. Raises UsageError's leaves."""
        key = (source, target, version)
        return self.made.get(key, lambda: find_built(*key, find()) or build(*key, find()))

    def undo(self, job: Job) -> None:
        """Nothing: an artifact in the cache harms nobody."""


def _key(job: Job) -> tuple[Source, Target, str]:
    return (job.plan.source, job.plan.board.target, job.plan.version)
