"""memory.compare on the loopback board: a gateway that holds a megabyte more is found, and nothing stays behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import REPOSITORY

from deploy import catalogue
from deploy.bundled import gateway_folder
from deploy.cli import contender as contenders
from deploy.cli.contender import contender
from deploy.emulator import loopback
from deploy.errors import UsageError
from deploy.memory.contest import among_the_releases
from deploy.model.layout import Layout
from deploy.transport.local import LocalTransport

pytestmark = [pytest.mark.usefixtures("gateway_is_built"), pytest.mark.timeout(300)]

MEGABYTE = """\
package main

var kept = func() []byte {
	bytes := make([]byte, 1<<20)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	return bytes
}()

func init() { go func() { select {}; println(len(kept)) }() }
"""


@pytest.fixture
def local(slimdeploy) -> Iterator[object]:
    yield slimdeploy
    loopback.down("local")


def test_a_gateway_that_holds_a_megabyte_more_is_worse_and_the_other_way_round_it_is_not(local, tmp_path: Path) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    board = loopback.status("local")
    assert board is not None
    prefix = board.home / ".picoclaw"
    before = sorted(path.name for path in (prefix / "releases").iterdir()), (prefix / "run/gateway.pid").read_text()
    fat = tmp_path / "fat"
    shutil.copytree(REPOSITORY / "gateway", fat)
    (fat / "cmd" / "picoclaw" / "kept.go").write_text(MEGABYTE)
    thin = prefix / "current" / "picoclaw"
    few = ("--board", "local", "--runs", "2", "--messages", "10", "--tolerance", "100KiB", "--json")
    worse = local("memory.compare", str(thin.resolve()), str(fat), *few, timeout_s=240)
    assert worse.code == 1, worse.err
    found = worse.document["rss_kib"]
    assert worse.document["worse"] and found["low_kib"] > 100 and found["mean_kib"] > 900
    assert len(worse.document["b"]["runs_rss_kib"]) == 2
    better = local("memory.compare", str(fat), str(thin.resolve()), *few, timeout_s=240)
    assert better.code == 0 and better.document["rss_kib"]["high_kib"] < 0
    after = sorted(path.name for path in (prefix / "releases").iterdir()), (prefix / "run/gateway.pid").read_text()
    assert after == before and not (prefix / "run" / "live").exists()


def test_a_build_that_does_not_start_is_not_measured(local, tmp_path: Path) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    board = loopback.status("local")
    assert board is not None
    releases = board.home / ".picoclaw" / "releases"
    before = sorted(path.name for path in releases.iterdir())
    deaf = tmp_path / "deaf"
    shutil.copytree(REPOSITORY / "gateway", deaf)
    main = deaf / "cmd" / "picoclaw" / "main.go"
    at_once = 'if len(os.Args) > 1 && os.Args[1] == "gateway" {\n\t\tos.Exit(78)\n\t}\n\t'
    main.write_text(main.read_text().replace("func main() {\n\t", f"func main() {{\n\t{at_once}", 1))
    thin = (board.home / ".picoclaw" / "current" / "picoclaw").resolve()
    ended = local("memory.compare", str(thin), str(deaf), "--board", "local", "--messages", "5", "--json")
    assert (ended.code, ended.document["verdict"]) == (3, "NOT MEASURED"), ended.out + ended.err
    assert sorted(path.name for path in releases.iterdir()) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="a hard limit needs a login that may make a memory cgroup (run as root)")
def test_a_hard_limit_of_the_gateway_in_service_does_not_end_the_build_that_takes_more(local, tmp_path: Path) -> None:
    deployed = local("deploy", "--board", "local", "--no-measure", "--hard-limit", "3MiB")
    if deployed.code != 0:
        pytest.skip("this kernel has no memory cgroup that is mounted")
    board = loopback.status("local")
    assert board is not None
    fat = tmp_path / "fat"
    shutil.copytree(REPOSITORY / "gateway", fat)
    (fat / "cmd" / "picoclaw" / "kept.go").write_text(MEGABYTE)
    thin = (board.home / ".picoclaw" / "current" / "picoclaw").resolve()
    few = ("--board", "local", "--runs", "2", "--messages", "10", "--tolerance", "100KiB", "--json")
    ended = local("memory.compare", str(thin), str(fat), *few, timeout_s=240)
    assert (ended.code, ended.document.get("worse")) == (1, True), ended.out + ended.err


@pytest.mark.parametrize("link", ["current", "previous"])
def test_a_release_that_somebody_deploys_meanwhile_stays(tmp_path: Path, link: str) -> None:
    layout, binary = Layout(str(tmp_path / "prefix")), tmp_path / "binary"
    binary.write_text("#!/bin/sh\nexit 0\n")
    sha256 = hashlib.sha256(binary.read_bytes()).hexdigest()
    with among_the_releases(LocalTransport(), layout, sha256[:16], sha256, binary):
        Path(getattr(layout, link)).symlink_to(f"releases/{sha256[:16]}")
    assert Path(layout.binary(sha256[:16])).exists()
    Path(getattr(layout, link)).unlink()


def test_one_binary_under_two_names_needs_no_run(local, tmp_path: Path) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    board = loopback.status("local")
    assert board is not None
    thin = (board.home / ".picoclaw" / "current" / "picoclaw").resolve()
    copy = shutil.copy(thin, tmp_path / "copy")
    ended = local("memory.compare", str(thin), str(copy), "--board", "local", "--json")
    assert (ended.code, ended.document["worse"]) == (0, False)


def test_a_revision_is_taken_out_of_the_repository_and_the_checkout_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    (repository / "gateway").mkdir(parents=True)
    (repository / "gateway" / "go.mod").write_text("module example\n")

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.com")
        subprocess.run(["git", "-C", str(repository), *identity, *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    (repository / "gateway" / "go.mod").write_text("module changed\n")
    monkeypatch.setattr(contenders, "gateway_folder", lambda: repository / "gateway")
    tree = contenders._tree_of("HEAD", tmp_path / "scratch")
    assert (tree / "go.mod").read_text() == "module example\n"
    assert (repository / "gateway" / "go.mod").read_text() == "module changed\n"
    for nonsense in ("no-such-revision", "--help", "HEAD; touch x"):
        with pytest.raises(UsageError, match="no revision of the gateway's repository"):
            contenders._tree_of(nonsense, tmp_path / "scratch")


def test_a_binary_for_another_board_and_a_folder_without_a_module_are_refused(tmp_path: Path) -> None:
    board = catalogue.board("licheerv")
    with pytest.raises(UsageError):
        contender("/bin/sh", board, "", tmp_path, print)
    with pytest.raises(UsageError, match=r"without a go\.mod"):
        contender(str(tmp_path), board, "", tmp_path, print)
    assert gateway_folder().is_dir()
