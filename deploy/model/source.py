"""Knows what is built: a Go tree, the package in it and how it is tagged. Building it is `deploy/build.py`'s."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """One Go module on the controller. Two sources with equal fields and equal files give equal binaries."""

    root: Path
    """The folder that holds go.mod."""
    package: str = "./cmd/picoclaw"
    """The main package, as `go build` takes it from `root`."""
    binary: str = "picoclaw"
    """What the binary is called on a board."""
    tags: tuple[str, ...] = ()
    ldflags: str = ""
    """Linker flags after slimdeploy's own."""
    in_repo: bool = True
    """Whether it is the gateway that travels with slimdeploy, and not a tree of the user's."""
