"""Knows when a deployment has to build; how it is done is `deploy/build.py`'s."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.build import build, build_command, find_built, planned_output
from deploy.model.artifact import Artifact
from deploy.model.units import show_bytes
from deploy.source_tree import version_of
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.toolchain import find
from deploy.transport.protocol import Script


@dataclass(frozen=True, slots=True)
class Build:
    """Compiles the source for the board's target, and proves the ELF header."""

    title: str = "Build"

    def skip(self, job: Job) -> str | None:
        """An artifact of just this source, target and Go, whole by its hash; it becomes the job's."""
        plan = job.plan
        job.artifact = find_built(plan.source, plan.board.target, plan.version, find())
        if job.artifact is None:
            return None
        return f"{_what(job.artifact)} is built already from this source (sha256 {job.artifact.sha256[:8]}…)"

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The one `go build`. What it writes goes to a name of its own first, and is moved to the one shown here."""
        plan, toolchain = job.plan, find()
        source, target = plan.source, plan.board.target
        output = planned_output(source, target, plan.version, toolchain)
        command = build_command(source, target, toolchain, version_of(source, plan.version), output)
        title = f"build {source.binary} for {target}"
        return (LocalCommand(title, command.argv, command.environment, command.folder),)

    def run(self, job: Job, observer: Observer) -> str:
        """Build it; raises UsageError's leaves, BuildFailed among them."""
        plan = job.plan
        job.artifact = build(plan.source, plan.board.target, plan.version, find(), note=observer.note)
        return f"{_what(job.artifact)}, {show_bytes(job.artifact.size_bytes)}, in {job.artifact.path}"

    def undo(self, job: Job) -> None:
        """Nothing: an artifact in the cache harms nobody and saves the next build."""


def _what(artifact: Artifact) -> str:
    return f"{artifact.name} {artifact.version} for {artifact.target}"
