"""memory.compare on the loopback board: a gateway that holds a megabyte more is found, and nothing stays behind."""

from __future__ import annotations

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
