"""`build`: the artifact alone, without a host."""

from __future__ import annotations

import json as json_format
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import reaching
from deploy.cli.ending import command
from deploy.cli.files import named, put
from deploy.cli.options import help_for
from deploy.cli.planning import Wishes, source_of
from deploy.errors import UsageError
from deploy.model.artifact import Artifact
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.model.units import show_bytes
from deploy.report import silent
from deploy.toolchain import Toolchain, find


@task(
    help=help_for(
        "board",
        "source",
        "package",
        "tags",
        "ldflags",
        "version",
        "dry_run",
        "json",
        output="a file to copy the binary to; its manifest goes beside it, as FILE.manifest.json",
    ),
    auto_shortflags=False,
)
@command
def build(
    context: Context,
    board: str = "",
    source: str = "",
    package: str = "",
    tags: str = "",
    ldflags: str = "",
    version: str = "",
    output: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Build the gateway, or any Go tree (--source), for a board; no host is touched.

    The same source gives the same bytes, and what is built already is not built again.
    """
    from deploy.build import build as go_build
    from deploy.build import find_built

    chosen = reaching.board_called(board)
    wanted = source_of(Wishes(source=source, package=package, tags=tags, ldflags=ldflags), chosen.tags)
    to = destination(output, wanted.binary) if output else None
    target, go = chosen.target, find()
    screen = silent.screen(as_json=json)
    artifact = find_built(wanted, target, version, go)
    if dry_run:
        text = dry_run_text(wanted, target, version, go)
        if json:
            rehearsed = {"built": False, "built_already": artifact is not None, "commands": [text]}
            print(json_format.dumps(rehearsed, indent=2))
        else:
            screen.say(text)
            screen.say("\nNothing was changed." if artifact is None else "\nIt is built already: nothing would be run.")
        return 0
    built = artifact is None
    if artifact is None:
        artifact = go_build(wanted, target, version, go, note=screen.say)
    copied = deliver(artifact, *to) if to else None
    if json:
        print(json_format.dumps(document(artifact, built=built, copied=copied), indent=2))
    else:
        screen.pairs("Built" if built else "Built already", rows(artifact, copied))
    return 0


def dry_run_text(source: Source, target: Target, version: str, go: Toolchain) -> str:
    """The `go build` that would run, as it can be typed."""
    from deploy.build import build_command, planned_output
    from deploy.cli.dry_run import command_text
    from deploy.source_tree import version_of
    from deploy.steps.face import LocalCommand

    output = planned_output(source, target, version, go)
    planned = build_command(source, target, go, version_of(source, version), output)
    title = f"build {source.binary} for {target}"
    return command_text(LocalCommand(title, planned.argv, planned.environment, planned.folder))


def destination(output: str, name: str) -> tuple[Path, Path]:
    """Where binary and manifest go: to the file --output names, or as `name` into that folder. Raises UsageError."""
    given = Path(output).expanduser()
    text = str(given / name) if given.is_dir() else output
    return named(text, "output"), named(f"{text}.manifest.json", "output")


def deliver(artifact: Artifact, binary: Path, told: Path) -> Path:
    """Copy the binary to its place, mode 0755, and its manifest. Raises UsageError."""
    from deploy import manifest

    try:
        with tempfile.TemporaryDirectory(prefix=".slimdeploy-", dir=binary.parent) as scratch:
            copy = Path(scratch) / "binary"
            shutil.copyfile(artifact.path, copy)
            copy.chmod(0o755)
            put(told, manifest.render(artifact).encode())
            copy.replace(binary)
    except OSError as error:
        raise UsageError(f"--output: {binary} can't be written: {os.strerror(error.errno or 0)}") from None
    return binary


def rows(artifact: Artifact, copied: Path | None) -> list[tuple[str, str]]:
    """What was built, for people."""
    from deploy.build import MANIFEST

    shown = [
        ("binary", str(artifact.path)),
        ("size", f"{show_bytes(artifact.size_bytes)} ({artifact.size_bytes:,} bytes)"),
        ("sha256", artifact.sha256),
        ("target", str(artifact.target)),
        ("ELF header read back", artifact.elf),
        ("version", artifact.version),
        ("source revision", artifact.revision or "not in git"),
        ("toolchain", artifact.toolchain),
        ("package", artifact.package),
        ("tags", " ".join(artifact.tags) or "none"),
        ("more linker flags", artifact.ldflags or "none"),
        ("manifest", str(artifact.path.parent / MANIFEST)),
    ]
    return [*shown, ("copied to", str(copied))] if copied else shown


def document(artifact: Artifact, *, built: bool, copied: Path | None) -> dict[str, Any]:
    """The JSON document (docs/json.md): the manifest's members under "artifact", and where things lie."""
    from deploy import manifest
    from deploy.build import MANIFEST

    return {
        "built": built,
        "artifact": manifest.document(artifact),
        "path": str(artifact.path),
        "manifest": str(artifact.path.parent / MANIFEST),
        "output": str(copied) if copied else None,
    }
