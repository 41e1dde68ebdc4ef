"""Knows when the gateway's config has to be written; it waits beside the old one until Start puts it in place."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.board_shell.push import stage_file
from deploy.steps.asking import attempt, change
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.transport.protocol import Script


@dataclass(frozen=True, slots=True)
class Configure:
    """Sends the config, and the CA bundle that it names, as bytes, mode 0600."""

    title: str = "Configure"

    def skip(self, job: Job) -> str | None:
        """Files on the board that hold just these bytes; or a program that is no gateway."""
        if job.plan.command is not None:
            return "this program gets no config"
        return None if differing(job) else "the config on the board says the same already"

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """One script a file that differs."""
        config, layout = job.plan.config, job.layout
        scripts = []
        for path in differing(job):
            if path == layout.config:
                scripts.append(stage_file("write the config", path, config.render(layout.ca_file)))
            else:
                scripts.append(stage_file("write the CA bundle", path, config.ca_pem or b""))
        return tuple(scripts)

    def run(self, job: Job, observer: Observer) -> str:
        """Stage them; `job.staged` says which."""
        paths = differing(job)
        for path, script in zip(paths, self.commands(job), strict=True):
            assert isinstance(script, Script)
            job.staged.append(path)
            change(job, script)
        detail = " and ".join(path.rpartition("/")[2] for path in paths) + " written, mode 0600"
        says = job.plan.config.ca_says
        return f"{detail}; {says}" if says and job.layout.ca_file in paths else detail

    def undo(self, job: Job) -> None:
        """Remove what waits; after a switch it is Start that puts the old files back."""
        if job.staged and job.locked and not job.switched:
            attempt(job, job.service.drop(job.staged))


def differing(job: Job) -> list[str]:
    """The paths whose text on the board is not what the plan says, in the order in which they are written."""
    layout, installed, config = job.layout, job.known.installed, job.plan.config
    paths: list[str] = []
    if job.plan.command is not None:
        return paths
    if config.ca_sha256 and config.ca_sha256 != installed.ca_sha256:
        paths.append(layout.ca_file)
    if config.sha256(layout.ca_file) != installed.config_sha256:
        paths.append(layout.config)
    return paths
