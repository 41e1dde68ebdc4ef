"""Real builds of a tiny module: the same bytes from the same source, a new build for a new one, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import build as building
from deploy import manifest, source_tree
from deploy.build import MANIFEST, build, build_command, find_built, inherited, sha256_of
from deploy.errors import BuildFailed, UsageError
from deploy.folders import cache_folder
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.toolchain import Toolchain

HERE = Target("amd64")
"""One target for all tests that do not care, so that the session's Go cache serves them."""


def stand_in(folder: Path, script: str) -> Path:
    """A go command of the test's own, in sh."""
    path = folder / "go"
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
    return path


def gone(pid: int) -> bool:
    """Whether the process ends (a zombie has) within 5 s."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_the_command_is_what_design_says(go: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOCACHE", "/somewhere")
    source = Source(tmp_path, "./cmd/picoclaw", "picoclaw", ("telegram", "smallbuf"), "-X main.extra=1", in_repo=True)
    command = build_command(source, Target("mipsle", "softfloat"), go, "1.2", Path("/out/picoclaw"))
    assert command.argv == (
        str(go.path), "build", "-tags", "telegram,smallbuf", "-trimpath", "-buildvcs=false",
        "-ldflags", "-s -w -X main.version=1.2 -X main.extra=1", "-o", "/out/picoclaw", "./cmd/picoclaw",
    )  # fmt: skip
    assert command.folder == tmp_path
    assert command.environment == {
        "CGO_ENABLED": "0",
        "GOARCH": "mipsle",
        "GOCACHE": "/somewhere",
        "GOENV": "off",
        "GOEXPERIMENT": "",
        "GOFLAGS": "",
        "GOMIPS": "softfloat",
        "GOOS": "linux",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def test_a_program_for_riscv64_has_no_empty_space_for_larger_pages(go: Toolchain, tmp_path: Path) -> None:
    argv = build_command(Source(tmp_path, "."), Target("riscv64"), go, "1.2", Path("/out/x")).argv
    assert argv[argv.index("-ldflags") + 1] == "-s -w -R 0x1000 -X main.version=1.2"


def test_the_built_program_runs_and_tells_its_version(go: Toolchain, tiny: Source) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("runs what it built for amd64")
    artifact = build(tiny, HERE, "4.5.6", go)
    ran = subprocess.run([artifact.path], capture_output=True, timeout=20, check=True)
    assert ran.stderr == b"tiny 4.5.6\n"
    assert artifact.sha256 == sha256_of(artifact.path)
    assert artifact.size_bytes == artifact.path.stat().st_size
    assert artifact.toolchain == go.version


def test_the_same_source_gives_the_same_bytes_in_another_folder(
    go: Toolchain, tmp_path: Path, make_module: Callable[[Path], Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = build(make_module(tmp_path / "one" / "tree"), HERE, "1", go)
    monkeypatch.setenv("SLIMDEPLOY_HOME", str(tmp_path / "another cache"))
    # What would change the bytes, had it any say.
    for name, value in {"GOAMD64": "v3", "GOFLAGS": "-race", "GOEXPERIMENT": "nosuch", "CGO_ENABLED": "1"}.items():
        monkeypatch.setenv(name, value)
    two = build(make_module(tmp_path / "a deeper" / "place" / "two"), HERE, "1", go)
    assert one.path != two.path
    assert one.sha256 == two.sha256
    manifests = [(each.path.parent / MANIFEST).read_bytes() for each in (one, two)]
    assert manifests[0] == manifests[1]


def test_what_is_built_is_found_without_running_go(
    go: Toolchain, tiny: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_built(tiny, HERE, "1", go) is None
    artifact = build(tiny, HERE, "1", go)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert find_built(tiny, HERE, "1", go) == artifact


def test_a_changed_source_makes_a_new_artifact_and_the_old_one_stays(go: Toolchain, tiny: Source) -> None:
    first = build(tiny, HERE, "1", go)
    text = (tiny.root / "cmd/tiny/main.go").read_text()
    (tiny.root / "cmd/tiny/main.go").write_text(text.replace("tiny", "something longer"))
    assert find_built(tiny, HERE, "1", go) is None
    second = build(tiny, HERE, "1", go)
    assert second.path != first.path
    (tiny.root / "cmd/tiny/main.go").write_text(text)
    assert find_built(tiny, HERE, "1", go) == first


def test_everything_that_decides_the_bytes_is_in_the_key(go: Toolchain, tiny: Source) -> None:
    asked = [
        (tiny, HERE, "1", go),
        (tiny, HERE, "2", go),
        (tiny, Target("amd64", "v2"), "1", go),
        (tiny, Target("arm", "6"), "1", go),
        (replace(tiny, tags=("a",)), HERE, "1", go),
        (replace(tiny, tags=("a", "b")), HERE, "1", go),
        (replace(tiny, ldflags="-X main.a=b"), HERE, "1", go),
        (replace(tiny, binary="other"), HERE, "1", go),
        (tiny, HERE, "1", replace(go, version="go1.99.0")),
    ]
    assert len({building.planned_output(*each).parent for each in asked}) == len(asked)


@pytest.mark.parametrize(
    "harm", ["truncate", "change a byte", "remove", "no manifest", "broken manifest", "old schema"]
)
def test_a_harmed_artifact_is_built_again(harm: str, go: Toolchain, tiny: Source) -> None:
    artifact = build(tiny, HERE, "1", go)
    told = artifact.path.parent / MANIFEST
    content = artifact.path.read_bytes()
    match harm:
        case "truncate":
            artifact.path.write_bytes(content[:-1])
        case "change a byte":
            artifact.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "remove":
            artifact.path.unlink()
        case "no manifest":
            told.unlink()
        case "broken manifest":
            told.write_text(told.read_text()[:-10])
        case "old schema":
            told.write_text(json.dumps(json.loads(told.read_text()) | {"schema": 0}))
    assert find_built(tiny, HERE, "1", go) is None
    assert build(tiny, HERE, "1", go) == artifact
    assert find_built(tiny, HERE, "1", go) == artifact


def test_the_compiler_s_words_are_shown_and_nothing_is_left(go: Toolchain, tiny: Source) -> None:
    (tiny.root / "cmd/tiny/main.go").write_text('package main\n\nfunc main() { undefinedThing("\u202e\x1b[31m") }\n')
    with pytest.raises(BuildFailed, match=r"go build of \./cmd/tiny for linux/amd64 ended with status 1") as failed:
        build(tiny, HERE, "1", go)
    assert "undefined: undefinedThing" in failed.value.output
    assert "\x1b" not in failed.value.output
    assert list((cache_folder() / "artifacts").iterdir()) == []


def test_go_that_never_ends_is_ended_with_all_that_it_started(go: Toolchain, tiny: Source, tmp_path: Path) -> None:
    slow = stand_in(tmp_path, f"sleep 300 & echo $! > {tmp_path / 'child'}\nwait\n")
    began = time.monotonic()
    with pytest.raises(BuildFailed, match="did not end within 1 s"):
        build(tiny, HERE, "1", replace(go, path=slow), deadline_s=1)
    assert time.monotonic() - began < 10
    child = int((tmp_path / "child").read_text())
    assert gone(child)


def test_ctrl_c_ends_what_go_started(
    go: Toolchain, tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child"
    slow = stand_in(tmp_path, f"trap '' TERM\nmkdir $GOTMPDIR/b1\nsleep 300 & echo $! > {child}\nwait\nwait\n")
    monkeypatch.setattr(building, "_GRACE_S", 0.3)

    def interrupted(self: object, *arguments: object, **options: object) -> None:
        while not (child.exists() and child.read_text().strip()):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tiny, HERE, "1", replace(go, path=slow))
    assert gone(int(child.read_text()))
    assert list((cache_folder() / "artifacts").iterdir()) == []


def test_a_program_for_another_machine_is_refused_and_not_kept(go: Toolchain, tiny: Source, tmp_path: Path) -> None:
    # A go command that ignores what it is asked for, as a wrapper script that sets GOARCH would.
    liar = stand_in(tmp_path, f'GOARCH=amd64 exec {go.path} "$@"\n')
    with pytest.raises(BuildFailed, match=r"is not for linux/arm/6: it is ELF 64-bit LSB EM_X86_64"):
        build(tiny, Target("arm", "6"), "1", replace(go, path=liar))
    assert find_built(tiny, Target("arm", "6"), "1", go) is None


def test_a_source_that_changes_meanwhile_is_not_taken_for_what_was_built(
    go: Toolchain, tiny: Source, tmp_path: Path
) -> None:
    hasty = stand_in(tmp_path, f'{go.path} "$@" && echo >> {tiny.root}/cmd/tiny/main.go\n')
    with pytest.raises(BuildFailed, match="changed while it was being built"):
        build(tiny, HERE, "1", replace(go, path=hasty))
    assert find_built(tiny, HERE, "1", go) is None


def test_two_builds_at_once_agree(go: Toolchain, tiny: Source) -> None:
    made: list[object] = []
    threads = [threading.Thread(target=lambda: made.append(build(tiny, HERE, "1", go))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(made) == 2
    assert made[0] == made[1] == find_built(tiny, HERE, "1", go)


def test_the_manifest_is_the_artifact_without_its_path(go: Toolchain, tiny: Source) -> None:
    artifact = build(replace(tiny, tags=("a", "b"), ldflags="-X main.x=y"), HERE, "1", go)
    text = (artifact.path.parent / MANIFEST).read_text()
    told = json.loads(text)
    assert set(told) == {*artifact.__slots__, "schema"} - {"path"}
    assert told["target"] == {"goos": "linux", "goarch": "amd64", "variant": ""}
    assert told["tags"] == ["a", "b"]
    assert manifest.parse(text, artifact.path) == artifact


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"package": "-exec=evil"}, "--package takes a folder"),
        ({"package": "./../other"}, "--package takes a folder"),
        ({"package": "./cmd/tiny; reboot"}, "--package takes a folder"),
        ({"package": "./cmd/none"}, "has no package ./cmd/none"),
        ({"tags": ("a b",)}, "a build tag has"),
        ({"tags": ("-x",)}, "a build tag has"),
        ({"ldflags": "a\nb"}, "--ldflags takes one line"),
        ({"binary": "../picoclaw"}, "a binary on a board is called"),
    ],
)
def test_words_that_are_none_are_refused(fields: dict, why: str, go: Toolchain, tiny: Source) -> None:
    for act in (build, find_built):
        with pytest.raises(UsageError, match=why):
            act(replace(tiny, **fields), HERE, "1", go)


def test_a_folder_that_is_no_module_is_refused_with_the_cure(go: Toolchain, tiny: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        build(replace(tiny, root=tmp_path / "none"), HERE, "1", go)
    (tiny.root / "go.mod").unlink()
    with pytest.raises(UsageError, match=r"holds no go\.mod .*go mod init"):
        build(tiny, HERE, "1", go)


def test_a_module_that_asks_for_a_newer_go_is_refused_before_go_runs(go: Toolchain, tiny: Source) -> None:
    (tiny.root / "go.mod").write_text("module example.org/tiny\n\ngo 1.99.1\n")
    with pytest.raises(UsageError, match=rf"asks for Go 1\.99\.1, and .* is {go.version}"):
        build(tiny, HERE, "1", go)


def test_a_cache_that_can_t_be_written_is_named(
    go: Toolchain, tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLIMDEPLOY_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="can't be written: Not a directory"):
        build(tiny, HERE, "1", go)


def test_where_modules_come_from_stays_the_user_s_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "goenv"
    settings.write_text("GOPROXY=https://proxy.example.org\nGOFLAGS=-mod=mod\nGOPRIVATE=example.org\n")
    monkeypatch.setenv("GOENV", str(settings))
    monkeypatch.setenv("GOPRIVATE", "example.com")
    monkeypatch.setenv("GOFLAGS", "-race")
    kept = inherited()
    assert kept["GOPROXY"] == "https://proxy.example.org"
    assert kept["GOPRIVATE"] == "example.com"
    assert "GOFLAGS" not in kept
    assert kept["HOME"] == os.environ["HOME"]


def test_without_git_there_is_no_revision_and_the_build_goes_on(
    go: Toolchain, tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    artifact = build(tiny, HERE, "", go)
    assert artifact.revision == ""
    assert artifact.version == source_tree.NO_VERSION
