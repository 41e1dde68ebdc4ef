"""Knows how a source becomes an artifact: the `go build` command, the cache of artifacts, and the proofs of a build.

Where Go comes from is `toolchain.py`'s, what the tree says of itself `source_tree.py`'s, the header `elf.py`'s.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy import manifest, source_tree
from deploy.elf import read_back
from deploy.errors import BuildFailed, UsageError
from deploy.folders import cache_folder
from deploy.interrupts import held_interrupts
from deploy.model.artifact import Artifact
from deploy.model.display import clean
from deploy.model.source import Source
from deploy.model.target import VARIANT_OF_GOARCH, Target
from deploy.toolchain import Toolchain

DEADLINE_S = 600.0
"""One build's time. A cold build of the gateway, standard library and all, takes a minute on a slow laptop."""

MANIFEST = "manifest.json"

_GRACE_S = 2.0
_SCHEME = "2"
"""Part of every key: counted up when the way of building changes."""

ROUNDED_TO = {"riscv64": "0x1000"}
"""The linker's -R, to what segments are rounded up, where Go's own figure is for pages that no kernel has: 64 KiB on
riscv64, in memory and in the file, and Linux has pages of 4 KiB only there (arch/riscv/include/asm/page.h)."""

# What of the user's environment reaches the Go command. Everything else stays away, GOFLAGS, GOEXPERIMENT and GOAMD64
# first of all: the same source has to give the same bytes on every machine.
_FOLDERS = ("HOME", "PATH", "TMPDIR", "GOPATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
_NETWORK = ("NETRC", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# These may also stand in the file that `go env -w` writes, which GOENV=off hides: they say where modules come from.
_MODULES = ("GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOMODCACHE", "GOVCS", "GOAUTH")


@dataclass(frozen=True, slots=True)
class BuildCommand:
    """One `go build`: a value. `environment` is what is set for it, beside what it inherits (`inherited`)."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    folder: Path


def build_command(source: Source, target: Target, toolchain: Toolchain, version: str, output: Path) -> BuildCommand:
    """The `go build` that writes `output`. `version` as `source_tree.version_of` gave it."""
    ldflags = f"{linking(target.goarch)} -X main.version={version}" + (f" {source.ldflags}" if source.ldflags else "")
    tags = ("-tags", ",".join(source.tags)) if source.tags else ()
    environment = {
        "CGO_ENABLED": "0",
        "GOCACHE": gocache(),
        "GOENV": "off",
        "GOEXPERIMENT": "",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        **_plain_variant(target),
        **target.environment(),
    }
    if source.in_repo:
        # The gateway needs nothing but the standard library; building it never asks a network.
        environment["GOPROXY"] = "off"
    argv = (str(toolchain.path), "build", *tags, "-trimpath", "-buildvcs=false", "-ldflags", ldflags)
    return BuildCommand((*argv, "-o", str(output), source.package), environment, source.root)


def linking(goarch: str) -> str:
    """The linker's flags that every build for an architecture has: stripped, and without empty space."""
    rounded = ROUNDED_TO.get(goarch)
    return f"-s -w -R {rounded}" if rounded else "-s -w"


def gocache() -> str:
    """The folder in which the Go command keeps what it has compiled."""
    return os.environ.get("GOCACHE") or str(_cache() / "go-build")


def _plain_variant(target: Target) -> dict[str, str]:
    name = VARIANT_OF_GOARCH.get(target.goarch)
    return {name: ""} if name else {}


def inherited() -> dict[str, str]:
    """What of the user's environment a build keeps: folders, proxies, and where modules come from."""
    kept = {}
    configured = os.environ.get("GOENV") or str(_user_config() / "go" / "env")
    if configured != "off" and (path := Path(configured)).is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition("=")
            if name in _MODULES:
                kept[name] = value
    names = (*_FOLDERS, *_NETWORK, *_PROXIES, *_MODULES)
    return kept | {name: os.environ[name] for name in names if name in os.environ}


def _cache() -> Path:
    # Absolute, since the Go command runs in the source's folder; GOCACHE has to be so anyway.
    return cache_folder().absolute()


def _user_config() -> Path:
    configured = os.environ.get("XDG_CONFIG_HOME")
    return Path(configured) if configured else Path.home() / ".config"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One build, looked up by its key: everything that decides what comes out."""

    source: Source
    target: Target
    toolchain: Toolchain
    version: str
    source_digest: str

    @property
    def folder(self) -> Path:
        """Where the artifact and its manifest lie."""
        return _cache() / "artifacts" / self.source_digest

    @property
    def path(self) -> Path:
        return self.folder / self.source.binary


def _wanted(source: Source, target: Target, version: str, toolchain: Toolchain) -> _Wanted:
    source_tree.check(source, toolchain)
    version = source_tree.version_of(source, version)
    parts = [
        _SCHEME,
        source_tree.digest(source),
        source.package,
        source.binary,
        list(source.tags),
        source.ldflags,
        source.in_repo,
        str(target),
        version,
        toolchain.version,
    ]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return _Wanted(source, target, toolchain, version, key)


def find_built(source: Source, target: Target, version: str, toolchain: Toolchain) -> Artifact | None:
    """The artifact that an earlier build made of just this, whole by its hash; None where there is none.

    Costs a few ms: it hashes the source and the artifact and runs nothing (but git, for the version of a tree of the
    user's own where none is given). A commit that changes no file keeps the revision that the manifest has. Raises
    UsageError where the source can't be built at all.
    """
    return _find(_wanted(source, target, version, toolchain))


def _find(wanted: _Wanted) -> Artifact | None:
    try:
        artifact = manifest.parse((wanted.folder / MANIFEST).read_text(encoding="utf-8"), wanted.path)
        whole = wanted.path.stat().st_size == artifact.size_bytes and sha256_of(wanted.path) == artifact.sha256
    except (OSError, ValueError):
        return None
    ours = artifact.source_digest == wanted.source_digest and artifact.target == wanted.target
    return artifact if whole and ours else None


def sha256_of(path: Path) -> str:
    """SHA-256 of the file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def planned_output(source: Source, target: Target, version: str, toolchain: Toolchain) -> Path:
    """Where the artifact of this source lies once it is built. Raises UsageError."""
    return _wanted(source, target, version, toolchain).path


def build(
    source: Source,
    target: Target,
    version: str,
    toolchain: Toolchain,
    *,
    note: Callable[[str], None] = lambda _: None,
    deadline_s: float = DEADLINE_S,
) -> Artifact:
    """Build it, prove that it is for `target`, and put it into the cache with its manifest.

    Raises UsageError for a source that can't be built, BuildFailed with what the compiler printed. Two builds of the
    same at once do not disturb each other: each writes to a folder of its own and moves whole files into place.
    """
    wanted = _wanted(source, target, version, toolchain)
    source_tree.check_main(source)
    try:
        wanted.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".building-", dir=wanted.folder.parent, ignore_cleanup_errors=True
        ) as scratch:
            return _build(wanted, Path(scratch), note, deadline_s)
    except OSError as error:
        raise UsageError(f"{error.filename or _cache()} can't be written: {error.strerror}") from None


def _build(wanted: _Wanted, scratch: Path, note: Callable[[str], None], deadline_s: float) -> Artifact:
    source, target = wanted.source, wanted.target
    output = scratch / source.binary
    command = build_command(source, target, wanted.toolchain, wanted.version, output)
    note(f"{wanted.toolchain.version} compiles {source.binary} {wanted.version} for {target}")
    run_go(command, f"go build of {source.package} for {target}", scratch, deadline_s)
    if not output.is_file():
        raise BuildFailed(f"go build of {source.package} ended well and wrote no program")
    note("holding its ELF header against the target")
    elf = read_back(output, target)
    if _wanted(source, target, wanted.version, wanted.toolchain) != wanted:
        raise BuildFailed(f"files in {source.root} changed while it was being built (build again)")
    artifact = Artifact(
        path=wanted.path,
        name=source.binary,
        size_bytes=output.stat().st_size,
        sha256=sha256_of(output),
        target=target,
        tags=source.tags,
        ldflags=source.ldflags,
        package=source.package,
        version=wanted.version,
        toolchain=wanted.toolchain.version,
        revision=source_tree.revision_of(source.root),
        source_digest=wanted.source_digest,
        elf=str(elf),
    )
    told = scratch / MANIFEST
    told.write_text(manifest.render(artifact), encoding="utf-8")
    wanted.folder.mkdir(exist_ok=True)
    output.replace(wanted.path)
    told.replace(wanted.folder / MANIFEST)
    return artifact


def run_go(command: BuildCommand, title: str, scratch: Path, deadline_s: float = DEADLINE_S) -> None:
    """Run it in a process group of its own, which is gone when this returns. Raises BuildFailed."""
    try:
        process = subprocess.Popen(
            command.argv,
            cwd=command.folder,
            # A Go command that is killed leaves its temporary folder behind; there it goes away with ours.
            env=inherited() | command.environment | {"GOTMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise BuildFailed(f"{command.argv[0]} can't be run: {error.strerror}") from None
    try:
        said, _ = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        _end(process)
        raise BuildFailed(f"{title} did not end within {deadline_s:.0f} s") from None
    except BaseException:
        _end(process)
        raise
    if process.returncode != 0:
        raise BuildFailed(f"{title} ended with status {process.returncode}", clean(said).strip())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the Go command and the compilers that it started: first asked, then killed."""
    with held_interrupts():
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
        if process.stdout:
            process.stdout.close()
