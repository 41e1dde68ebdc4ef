"""Puts the collections of `deploy/cli` together, for `invoke` (tasks.py) and for the console script `slimdeploy`."""

from __future__ import annotations

from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from deploy import __version__
from deploy.cli import boards, build, chat, deploy, doctor, emulate, hosts, memory, provision, releases, service
from deploy.cli.fleet import collection as fleet
from deploy.cli.terminals import show_what_can_be_shown


def namespace() -> Collection:
    """All commands. Nothing heavy is imported before a command runs."""
    root = Collection()
    for task in (deploy.deploy, provision.provision, build.build, doctor.doctor, chat.chat):
        root.add_task(task)
    for task in (service.status, service.logs, service.start, service.stop, service.restart, service.uninstall):
        root.add_task(task)
    for task in (releases.releases, releases.rollback, releases.unlock):
        root.add_task(task)
    for collection in (
        boards.collection(),
        hosts.collection(),
        emulate.collection(),
        memory.collection(),
        fleet.collection(),
    ):
        root.add_collection(collection)
    return root


class SlimProgram(Program):
    """Invoke's program, with exit code 2 for usage errors (Invoke's own is 1, which is a verdict here)."""

    def parse_core(self, argv: Any) -> None:
        """Parse the flags before the command."""
        try:
            super().parse_core(argv)
        except ParseError as error:
            raise Exit(str(error), code=2) from None

    def parse_tasks(self) -> None:
        """Parse the commands and their flags."""
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(f"{error}\n`slimdeploy --list` lists the commands.", code=2) from None


def run() -> None:
    """Run what the command line says."""
    show_what_can_be_shown()
    SlimProgram(name="slimdeploy", binary="slimdeploy", namespace=namespace(), version=__version__).run()
