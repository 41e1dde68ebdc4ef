"""Knows how the difference of two artifacts is made, and where an earlier one lies; sending it is the steps' business.

The maker is a Go program beside the gateway (`gateway/cmd/delta`), built once for this machine; docs/decisions/0010
tells what it makes.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from deploy import manifest
from deploy.build import MANIFEST, BuildCommand, build_command, run_go, sha256_of
from deploy.bundled import gateway_folder
from deploy.errors import BuildFailed
from deploy.folders import cache_folder
from deploy.model.artifact import Artifact
from deploy.model.display import clean
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.once import Once
from deploy.toolchain import Toolchain

DEADLINE_S = 60.0
"""Two gateways take the maker half a second, the worst files of that size two."""

_PACKAGES = ("cmd/delta", "internal/delta")


_FOUND: dict[tuple[Path, str], Artifact] = {}
_MADE: Once[bytes] = Once()
"""For all hosts of a fleet: looking for a binary means hashing it, and making a difference takes half a second."""


def built_with(sha256: str) -> Artifact | None:
    """The artifact of that hash that an earlier build left here, whole; None where there is none."""
    key = (cache_folder().absolute(), sha256)
    if (found := _FOUND.get(key)) is None and (found := _look_for(sha256)) is not None:
        _FOUND[key] = found
    return found


def _look_for(sha256: str) -> Artifact | None:
    for path in (cache_folder().absolute() / "artifacts").glob(f"*/{MANIFEST}"):
        try:
            text = path.read_text(encoding="utf-8")
            if sha256 not in text:
                continue
            artifact = manifest.parse(text, path.parent)
            binary = path.parent / artifact.name
            if artifact.sha256 == sha256 and sha256_of(binary) == sha256:
                return manifest.parse(text, binary)
        except (OSError, ValueError):
            continue
    return None


def difference(old: Path, new: Path, toolchain: Toolchain) -> bytes:
    """What makes `new` of `old`, gzip-compressed, for `picoclaw patch`. Raises BuildFailed, also without the maker."""
    return _MADE.get((old, new, toolchain), lambda: _difference(old, new, toolchain))


def _difference(old: Path, new: Path, toolchain: Toolchain) -> bytes:
    maker = _maker(toolchain)
    try:
        made = subprocess.run(
            [str(maker), str(old), str(new)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"the difference was not made within {DEADLINE_S:.0f} s") from None
    except OSError as error:
        raise BuildFailed(f"{maker} can't be run: {error.strerror}") from None
    if made.returncode != 0:
        raise BuildFailed("the difference could not be made", clean(made.stderr).strip())
    return made.stdout


def _maker(toolchain: Toolchain) -> Path:
    """The program, built where it is not there yet: once for its source and toolchain."""
    source = Source(gateway_folder(), "./cmd/delta", "delta")
    folder = cache_folder().absolute() / "tools" / f"delta-{_key(source.root, toolchain)}"
    maker = folder / source.binary
    if maker.is_file():
        return maker
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        output = Path(scratch) / source.binary
        # The target only fills the form: without GOOS and GOARCH, Go builds for the machine that it runs on.
        command = build_command(source, Target("amd64"), toolchain, "1", output)
        own = {name: value for name, value in command.environment.items() if name not in ("GOOS", "GOARCH", "GOAMD64")}
        run_go(BuildCommand(command.argv, own, command.folder), "go build of the maker of differences", Path(scratch))
        folder.mkdir(exist_ok=True)
        output.replace(maker)
    return maker


def _key(root: Path, toolchain: Toolchain) -> str:
    key = hashlib.sha256(toolchain.version.encode())
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.go")):
            key.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return key.hexdigest()[:16]
