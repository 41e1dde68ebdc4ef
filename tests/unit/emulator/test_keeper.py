"""What holds for every board that a daemon of ours keeps, whichever daemon that is."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_daemon import tiny_python

from deploy.emulator.keeper import Keeper
from deploy.emulator.processes import runs, start_ticks
from deploy.errors import LoopbackFailed
from deploy.folders import state_folder

KEEPER = Keeper("tiny", "the tiny board", mark="SLIMDEPLOY_TEST_TINY", daemon="no.such.module", up_s=20.0)
OTHER = replace(KEEPER, kind="other", mark="SLIMDEPLOY_TEST_OTHER")


@pytest.fixture(autouse=True)
def tiny(private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Daemons are tiny ones, and none outlives the test."""
    monkeypatch.setattr(sys, "executable", tiny_python(tmp_path))
    yield
    for keeper in (KEEPER, OTHER):
        for board in keeper.listing():
            keeper.down(board.name)


def files_left() -> list[Path]:
    return [path for path in state_folder().rglob("*") if not path.is_dir()]


def test_a_board_lies_in_a_closed_folder_of_its_kind_with_its_settings(private_home: Path) -> None:
    settings = {"machine": "a machine", "memory_kib": 65536}
    board, was_up = KEEPER.up("some-board", settings)
    assert not was_up and board.folder == state_folder() / "tiny" / "some-board"
    assert (board.machine, board.facts) == ("a machine", {"name": "some-board"})
    assert KEEPER.settings("some-board") == settings
    for name in ("settings.json", "mark", "token"):
        assert stat.S_IMODE((board.folder / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(board.folder.stat().st_mode) == 0o700
    assert {board, KEEPER.status("some-board")} == {board}


def test_a_board_that_is_up_keeps_its_settings_whatever_is_asked() -> None:
    first, _ = KEEPER.up("some-board", {"memory_kib": 1})
    assert KEEPER.up("some-board", {"memory_kib": 2}) == (first, True)
    assert KEEPER.settings("some-board") == {"memory_kib": 1}


def test_settings_that_are_not_there_or_damaged_are_none() -> None:
    assert KEEPER.settings("some-board") == {}
    board, _ = KEEPER.up("some-board", {"memory_kib": 1})
    for text in ("{", "[1]", ""):
        (board.folder / "settings.json").write_text(text)
        assert KEEPER.settings("some-board") == {}


def test_progress_is_told_line_by_line_each_once_and_safe_to_show() -> None:
    told: list[str] = []
    KEEPER.up("some-board", {"say": ["mak", "ing\nstarting\n", "a board's \x1b[31mwords\n", "the last\n"]}, told.append)
    assert told[:2] == ["making", "starting"] and told[3:] == ["the last"]
    assert "words" in told[2] and "\x1b" not in told[2]


def test_a_daemon_that_ends_is_not_waited_for_and_its_last_words_are_in_the_error() -> None:
    begun = time.monotonic()
    with pytest.raises(LoopbackFailed, match="the tiny board some-board does not come up") as failed:
        KEEPER.up("some-board", {"fail": "the kernel panicked"})
    assert "the kernel panicked" in failed.value.log
    assert time.monotonic() - begun < KEEPER.up_s / 2
    assert not files_left()


def test_a_daemon_that_hangs_is_ended_at_the_deadline_with_what_it_started(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(LoopbackFailed, match="does not come up"):
        replace(KEEPER, up_s=2.0).up("some-board", {"say": ["starting\n"], "hang": True, "child": True}, told.append)
    assert told == ["starting"]
    assert not files_left()
    assert not [pid for pid in pids() if b"SLIMDEPLOY_TEST_TINY" in environment(pid)]


def test_what_a_killed_daemon_started_goes_with_it() -> None:
    board, _ = KEEPER.up("some-board", {"child": True})
    child = int(board.facts["child"])
    os.kill(board.daemon.pid, signal.SIGKILL)
    until = time.monotonic() + 5
    while runs(board.daemon) and time.monotonic() < until:
        time.sleep(0.01)
    assert start_ticks(child) is not None, "a child outlives its daemon, as QEMU would"
    assert KEEPER.status("some-board") is None
    assert start_ticks(child) is None and not files_left()


def test_two_kinds_of_one_name_know_nothing_of_each_other() -> None:
    one, _ = KEEPER.up("some-board", {})
    assert (OTHER.status("some-board"), OTHER.listing(), OTHER.down("some-board")) == (None, [], False)
    other, was_up = OTHER.up("some-board", {})
    assert not was_up and other.daemon != one.daemon and other.folder != one.folder
    assert OTHER.down("some-board") is True
    assert KEEPER.status("some-board") == one and KEEPER.listing() == [one]
    assert KEEPER.down("some-board") is True
    assert not runs(one.daemon) and not runs(other.daemon) and not files_left()


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
