"""Knows a Go tree before it is built: its checks, digest, version and revision. Building it is `deploy/build.py`'s."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from deploy import __version__
from deploy.errors import UsageError
from deploy.model.source import Source
from deploy.toolchain import Toolchain, release_of

NO_VERSION = "0.0.0-dev"

_GIT_S = 5.0
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,99}")
_PACKAGE = re.compile(r"\.(/[A-Za-z0-9_][A-Za-z0-9_.+~-]*)*")
_BINARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
_GO_DIRECTIVE = re.compile(r"^go[ \t]+(\d+\.\d+\S*)", re.MULTILINE)
_LOCAL_REPLACEMENT = re.compile(r"=>[ \t]+\"?(\.{1,2}(?:/[^\s\"]*)?|/[^\s\"]+)\"?[ \t]*(?://.*)?$", re.MULTILINE)
_PACKAGE_CLAUSE = re.compile(r"^[ \t]*package[ \t]+(\w+)", re.MULTILINE)
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

# What version control keeps for itself; `go:embed` refuses these too (cmd/go, isBadEmbedName).
_NOT_SOURCE = frozenset({".git", ".hg", ".svn", ".bzr"})


def check(source: Source, toolchain: Toolchain) -> None:
    """Whether `source` is a tree that `toolchain` can build, and its words are words. Raises UsageError.

    It reads go.mod and looks for the package's folder; what the compiler has to say comes later.
    """
    if not source.root.is_dir():
        raise UsageError(f"there is no folder {source.root}")
    module = _module(source.root)
    if not _PACKAGE.fullmatch(source.package):
        raise UsageError(f"--package takes a folder inside the source, such as ./cmd/picoclaw, not {source.package!r}")
    if not _BINARY.fullmatch(source.binary):
        raise UsageError(f"a binary on a board is called by letters, digits, . _ and -, not {source.binary!r}")
    for tag in source.tags:
        if not _TAG.fullmatch(tag):
            raise UsageError(f"a build tag has letters, digits, _ and . in it; {tag!r} is none")
    if any(ord(character) < ord(" ") for character in source.ldflags):
        raise UsageError("--ldflags takes one line of printable text")
    if not (source.root / source.package).is_dir():
        raise UsageError(f"{source.root} has no package {source.package} (name the main package with --package)")
    asked = _GO_DIRECTIVE.search(module)
    if asked and release_of(f"go{asked[1]}") > toolchain.release:
        raise UsageError(
            f"{source.root / 'go.mod'} asks for Go {asked[1]}, and {toolchain.origin} is {toolchain.version} "
            "(install a newer Go and point SLIMDEPLOY_GO at it)"
        )


def check_main(source: Source) -> None:
    """Whether the package is a program. Raises UsageError naming the package that it is."""
    folder = source.root / source.package
    names = set()
    for path in sorted(folder.glob("*.go")):
        if not path.name.endswith("_test.go"):
            text = _BLOCK_COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
            names.update(_PACKAGE_CLAUSE.findall(text)[:1])
    if not names:
        raise UsageError(f"{folder} holds no Go source (name the main package with --package)")
    if "main" not in names:
        raise UsageError(
            f"{source.package} is package {min(names)}, not a main package (name the main package with --package)"
        )


def _module(root: Path) -> str:
    try:
        return (root / "go.mod").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise UsageError(
            f"{root} holds no go.mod (name the folder that holds it; go mod init makes one for a tree without)"
        ) from None
    except OSError as error:
        raise UsageError(f"{root / 'go.mod'} can't be read: {error.strerror}") from None


def digest(source: Source) -> str:
    """SHA-256, in hex, over the path and content of every file that can go into the build. Raises UsageError.

    These are all files below the root but version control's own, and those of the modules that go.mod replaces by a
    folder; what comes from the module cache is told by go.sum. Of the in-repo gateway the tests are left out as well:
    it embeds no `_test.go`, which a stranger's tree may. The root's own path does not count.
    """
    told = hashlib.sha256()
    roots = [source.root, *_replacements(source.root)]
    try:
        for number, root in enumerate(roots):
            for name, path in _files(root, tests=not source.in_repo):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").digest()
                told.update(f"{number}/{name}\0".encode("utf-8", "surrogateescape") + content)
    except OSError as error:
        raise UsageError(f"{error.filename} can't be read: {error.strerror}") from None
    return told.hexdigest()


def _replacements(root: Path) -> list[Path]:
    """The folders outside `root` by which its go.mod replaces modules."""
    named = [Path(os.path.normpath(root / path)) for path in _LOCAL_REPLACEMENT.findall(_module(root))]
    return [path for path in named if path.is_dir() and not path.is_relative_to(root)]


def _files(root: Path, *, tests: bool) -> Iterator[tuple[str, Path]]:
    """Name below `root` and path of each file, in an order that no file system decides.

    A link to a file counts as the file; links to folders are not followed, as the Go command does not follow them.
    """
    found = []
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _NOT_SOURCE:
                        folders.append(Path(entry.path))
                elif entry.is_file() and (tests or not entry.name.endswith("_test.go")):
                    path = Path(entry.path)
                    found.append((path.relative_to(root).as_posix(), path))
    return iter(sorted(found))


def version_of(source: Source, asked: str = "") -> str:
    """The version that the binary shall tell: `asked`, else the gateway's own, else what git says. Raises UsageError.

    The in-repo gateway has slimdeploy's version; of another tree `git describe` is asked, and NO_VERSION is the answer
    where git has none.
    """
    if asked:
        if not _VERSION.fullmatch(asked):
            raise UsageError(f"--version takes letters, digits and . _ + ~ - without blanks, not {asked!r}")
        return asked
    if source.in_repo:
        return __version__
    if not _in_git(source.root):
        return NO_VERSION
    described = re.sub(r"[^A-Za-z0-9._+~-]", "-", _git(source.root, "describe", "--tags", "--always", "--dirty"))
    return described if _VERSION.fullmatch(described) else NO_VERSION


def revision_of(root: Path) -> str:
    """The git revision of the tree at `root`, with "+dirty" where files below it differ; "" where git knows none."""
    if not _in_git(root):
        return ""
    revision = _git(root, "rev-parse", "--verify", "HEAD")
    if not re.fullmatch(r"[0-9a-f]{40,64}", revision):
        return ""
    return revision + ("+dirty" if _git(root, "status", "--porcelain", "--", ".") else "")


def _in_git(root: Path) -> bool:
    # An installed package often lies inside somebody's checkout (its .venv), whose revision is not ours: go.mod has to
    # be a file that this git tracks.
    return _git(root, "ls-files", "--", "go.mod") == "go.mod"


def _git(root: Path, *arguments: str) -> str:
    """What git prints, stripped; "" where there is no git, no checkout, or no answer in time."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        completed = subprocess.run(
            # A tree's own settings can name a program as fsmonitor, which `git status` would run.
            ["git", "-c", "core.fsmonitor=false", *arguments],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout.decode("utf-8", "replace").strip() if completed.returncode == 0 else ""
