"""What of a Go tree counts for a build, and what git says of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import source_tree
from deploy.errors import UsageError
from deploy.model.source import Source


@pytest.mark.parametrize(
    "change",
    [
        lambda source: (source.root / "cmd/tiny/main.go").write_text("package main\n"),
        lambda source: (source.root / "cmd/tiny/other.go").write_text("package main\n"),
        lambda source: (source.root / "cmd/tiny/page.html").write_text("embedded, for all we know"),
        lambda source: (source.root / "go.sum").write_text(""),
        lambda source: (source.root / "cmd/tiny/main.go").rename(source.root / "cmd/tiny/renamed.go"),
        lambda source: (source.root / "testdata").mkdir() or (source.root / "testdata/x").write_text(""),
    ],
)
def test_a_changed_tree_is_not_the_one_that_was_built(change: Callable[[Source], object], tiny: Source) -> None:
    before = source_tree.digest(tiny)
    change(tiny)
    assert source_tree.digest(tiny) != before


def test_version_control_and_the_gateway_s_tests_do_not_count(tiny: Source) -> None:
    gateway = replace(tiny, in_repo=True)
    before = source_tree.digest(tiny), source_tree.digest(gateway)
    (tiny.root / ".git").mkdir()
    (tiny.root / ".git" / "HEAD").write_text("ref: refs/heads/main")
    assert (source_tree.digest(tiny), source_tree.digest(gateway)) == before
    (tiny.root / "cmd/tiny/main_test.go").write_text("package main\n")
    assert source_tree.digest(gateway) == before[1]
    # A stranger's tree may embed even that.
    assert source_tree.digest(tiny) != before[0]


def test_a_module_replaced_by_a_folder_outside_counts(tiny: Source, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "a.go").write_text("package library\n")
    with (tiny.root / "go.mod").open("a") as file:
        file.write("\nreplace example.org/library => ../library // ours\n")
    before = source_tree.digest(tiny)
    (tmp_path / "library" / "a.go").write_text("package library // changed\n")
    assert source_tree.digest(tiny) != before


@pytest.mark.parametrize("version", ["1 2", "-x", "1'", "a\nb", "$(x)", "x" * 101])
def test_a_version_is_one_plain_word(version: str, tiny: Source) -> None:
    with pytest.raises(UsageError, match="--version takes"):
        source_tree.version_of(tiny, version)


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed (apt-get install git)")


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, timeout=20)


@needs_git
def test_revision_and_version_come_from_git_where_it_tracks_the_source(tiny: Source) -> None:
    assert source_tree.version_of(tiny) == source_tree.NO_VERSION
    assert source_tree.revision_of(tiny.root) == ""
    git(tiny.root, "init", "-q")
    # A checkout around it that does not track it (an installed package in somebody's .venv) says nothing of it.
    git(tiny.root, "commit", "-q", "--allow-empty", "-m", "not ours")
    assert source_tree.revision_of(tiny.root) == ""
    git(tiny.root, "add", ".")
    git(tiny.root, "commit", "-q", "-m", "ours")
    git(tiny.root, "tag", "tiny/v1.2")
    revision = source_tree.revision_of(tiny.root)
    assert len(revision) == 40
    assert source_tree.version_of(tiny) == "tiny-v1.2"
    (tiny.root / "new.go").write_text("package tiny\n")
    assert source_tree.revision_of(tiny.root) == f"{revision}+dirty"


def test_the_in_repo_gateway_has_slimdeploy_s_version(tiny: Source) -> None:
    from deploy import __version__

    assert source_tree.version_of(replace(tiny, in_repo=True)) == __version__
    assert source_tree.version_of(replace(tiny, in_repo=True), "9.9") == "9.9"


def test_a_library_is_no_program(tiny: Source) -> None:
    (tiny.root / "cmd/tiny/main.go").write_text("/*\npackage main\n*/\npackage library\n")
    with pytest.raises(UsageError, match="is package library, not a main package"):
        source_tree.check_main(tiny)
    (tiny.root / "cmd/tiny/main.go").unlink()
    with pytest.raises(UsageError, match="holds no Go source"):
        source_tree.check_main(tiny)
