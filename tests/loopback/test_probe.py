"""The loopback board is asked over SSH what it is: this machine, as Python knows it."""

from __future__ import annotations

import os
import platform
import tomllib
from pathlib import Path

import pytest
from program import Slimdeploy

from deploy import catalogue
from deploy.cli import probing
from deploy.cli.reaching import Place
from deploy.emulator.kept import KeptBoard
from deploy.errors import BadAnswer, UsageError
from deploy.folders import config_folder
from deploy.report.silent import Silent
from deploy.transport.scripted import ScriptedTransport


def login(board: KeptBoard) -> tuple[str, ...]:
    return ("--host", str(board.host), "--identity", str(board.key_file), "--accept-new-host-key")


def test_this_machine_is_told_over_ssh(board: KeptBoard, slimdeploy: Slimdeploy, tmp_path: Path) -> None:
    ended = slimdeploy("boards.probe", "--board", "local", "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    probed = document["probed"]
    assert (probed["machine"], probed["kernel_release"]) == (platform.machine(), platform.release())
    assert probed["is_root"] == (os.geteuid() == 0)
    assert document["target"].startswith(str(catalogue.board("local").target))
    assert document["written"] is None
    assert tomllib.loads(document["toml"])["target"]["goarch"] == catalogue.board("local").target.goarch
    by_host = slimdeploy("boards.probe", *login(board))
    assert by_host.code == 0 and "asked in 1 round trip" in by_host.out, by_host.err
    assert "--write boards/" in by_host.out and "[target]" in by_host.out
    assert slimdeploy("boards.probe", *login(board)[:2]).code == 4  # no key, no trust, no answer


def test_a_board_that_is_written_is_read_back_and_never_overwritten(
    board: KeptBoard, slimdeploy: Slimdeploy, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    written = slimdeploy("boards.probe", *login(board), "--write", str(path))
    assert written.code == 0 and str(path) in written.out, written.err
    assert catalogue.board(str(path)).name == "mine"
    before = path.read_bytes()
    again = slimdeploy("boards.probe", *login(board), "--write", str(path))
    assert again.code == 2 and "already" in again.err
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", ["mine", "no folder/mine.toml", "_example.toml", "my board.toml"])
def test_a_file_that_could_be_no_board_is_refused_before_anything_is_asked(slimdeploy: Slimdeploy, path: str) -> None:
    refused = slimdeploy("boards.probe", "--host", "root@192.0.2.7", "--write", path)
    assert refused.code == 2 and "--write" in refused.err


def test_a_host_has_to_be_named(slimdeploy: Slimdeploy) -> None:
    assert "which host" in slimdeploy("boards.probe").err
    assert "which board" in slimdeploy("deploy").err


def test_a_dry_run_to_a_host_alone_keeps_no_board(board: KeptBoard, slimdeploy: Slimdeploy, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("1234567890:" + "A" * 35)
    ended = slimdeploy("deploy", *login(board), "--token-file", str(token), "--dry-run", "--no-measure")
    assert "is taken for some-" in ended.out and "kept nowhere" in ended.out, ended.err
    assert not (config_folder() / "boards").exists()


def test_a_seat_keeps_the_connection_over_which_the_host_was_asked(board: KeptBoard) -> None:
    where = probing.Where("", str(board.host), identity=str(board.key_file), accept_new_host_key=True)
    with probing.seat(where, keep=True, screen=Silent()) as place:
        assert place.opened is not None and where.connect(place) is place.opened
        assert place.opened.round_trips == 1
        assert catalogue.board(place.board.name) == place.board
        assert place.why
    with probing.seat(where, keep=True, screen=Silent()) as again:
        assert again.board == place.board


def test_a_folder_that_takes_no_file_is_told_and_nothing_stays_behind(private_home: Path, tmp_path: Path) -> None:
    board = catalogue.board("licheerv")
    with pytest.raises(UsageError, match="can't be written"):
        probing.write(board, tmp_path / "nowhere" / "mine.toml")
    probing.write(board, tmp_path / "mine.toml")
    with pytest.raises(UsageError, match="already"):
        probing.write(board, tmp_path / "mine.toml")
    assert probing.keep_own(board) == probing.keep_own(board)
    assert catalogue.board(str(config_folder() / "boards" / "licheerv.toml")) == board


def test_a_host_that_answers_nonsense_is_named_with_it(private_home: Path) -> None:
    with pytest.raises(BadAnswer) as bad:
        probing.ask(ScriptedTransport({"ask the host what board it is": b"hello\n"}))
    assert bad.value.host == "root@board"


def test_a_place_that_nobody_asked_for_yet_is_reached_as_root_at_port_22() -> None:
    place = probing.Where(host="192.0.2.7").place()
    assert isinstance(place, Place)
    assert (place.board.user, place.board.port, place.opened) == ("root", 22, None)
