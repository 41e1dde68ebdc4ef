"""The way back, whole: the release before runs again with its own config and limits, or nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from program import Ended, Slimdeploy

from deploy.board_shell.lock import Lock
from deploy.emulator import loopback
from deploy.emulator.kept import KeptBoard
from deploy.model.layout import Layout
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script


@dataclass
class Board:
    """A loopback board with two releases on it; the second one has other limits."""

    slimdeploy: Slimdeploy
    prefix: Path

    def run(self, command: str, *more: str) -> Ended:
        return self.slimdeploy(command, "--board", "local", *more, timeout_s=280)

    def document(self, command: str, *more: str) -> dict[str, Any]:
        ended = self.run(command, *more, "--json")
        assert ended.code == 0, ended.err
        return ended.document

    def status(self) -> dict[str, Any]:
        return self.document("status")

    def of(self, release_id: str) -> Path:
        return self.prefix / "releases" / release_id


@pytest.fixture
def board(board: KeptBoard, slimdeploy: Slimdeploy, gateway_is_built: None) -> Board:
    deployed = slimdeploy("deploy", "--board", "local", "--no-measure", "--json", timeout_s=280)
    assert deployed.code == 0, deployed.err
    seat = Board(slimdeploy, Path(slimdeploy("status", "--board", "local", "--json").document["prefix"]))
    seat.document("deploy", "--no-measure", "--version", "9.9.9", "--memory-limit", "6MiB")
    return seat


def test_there_and_back_again_with_the_limits_of_then(board: Board) -> None:
    listed = board.document("releases")["releases"]
    assert [each["is"] for each in listed] == ["current", "before"]
    assert [each["version"] for each in listed] == ["9.9.9", "0.1.0"]
    shown = board.run("rollback", "--dry-run").out
    assert "switch to the new release" in shown and board.status()["version"] == "9.9.9"

    said = board.run("rollback").out
    assert f"release {listed[1]['id']} runs again" in said and "config.json" in said
    status = board.status()
    assert (status["version"], "GOMEMLIMIT=5MiB" in status["limits"]) == ("0.1.0", True)
    assert board.run("memory").code == 0  # held against the record of that release, not of the last deployment
    assert [each["is"] for each in board.document("releases")["releases"]] == ["current", "before"]

    back = board.document("rollback")
    assert (back["release"], back["before"]) == (listed[0]["id"], listed[1]["id"])
    assert (board.status()["version"], "GOMEMLIMIT=6MiB" in board.status()["limits"]) == ("9.9.9", True)
    assert board.document("deploy", "--no-measure", "--version", "9.9.9", "--memory-limit", "6MiB")["changed"] is False


def test_a_release_that_is_not_ready_any_more_changes_nothing(board: Board) -> None:
    current, before = board.document("releases")["releases"]
    kept = board.of(before["id"]) / "with" / "config.json"
    kept.write_text(kept.read_text().replace('"base_url"', '"no_url"'))  # its config is no config any more
    refused = board.run("rollback")
    assert refused.code == 4
    assert f"release {current['id']} is back" in " ".join(refused.err.split()), refused.err
    assert board.status()["version"] == "9.9.9"
    assert [each["id"] for each in board.document("releases")["releases"]] == [current["id"], before["id"]]
    assert not (board.prefix / "run" / "lock").is_symlink()


def test_a_release_that_is_not_whole_is_not_started(board: Board) -> None:
    _, before = board.document("releases")["releases"]
    with (board.of(before["id"]) / "picoclaw").open("r+b") as file:
        file.seek(4096)
        file.write(b"rotten")
    process = board.status()["pid"]
    refused = board.run("rollback")
    assert (refused.code, "not whole any more" in refused.err) == (4, True), refused.err
    assert board.status()["pid"] == process


def test_without_a_release_before_it_says_what_there_is(board: Board) -> None:
    current, before = board.document("releases")["releases"]
    for wrong, why in ((current["id"], "is the current release"), ("ffff", "there is no release ffff")):
        refused = board.run("rollback", "--release", wrong)
        assert (refused.code, why in refused.err) == (2, True), refused.err
    assert board.run("rollback", "--release", before["id"][:6]).code == 0


@pytest.fixture
def held(board: Board) -> Iterator[Board]:
    layout, lock = Layout(str(board.prefix)), Lock.of("somebody@else")
    LocalTransport().run(lock.held(layout, Script(title="hold", text=":\n"), keep_s=600))
    yield board
    LocalTransport().run(lock.release(layout))


def test_while_somebody_changes_the_board_everybody_else_is_told(held: Board) -> None:
    before = held.status()
    for command in (
        ("deploy", "--no-measure", "--version", "9.9.8"),
        ("rollback",),
        ("stop",),
        ("restart",),
        ("uninstall",),
    ):
        refused = held.run(*command)
        assert refused.code == 4, (command, refused.out)
        assert "somebody@else has been changing this board since" in " ".join(refused.err.split()), refused.err
        assert "unlock" in refused.err
    assert held.status() | {"uptime_s": 0} == before | {"uptime_s": 0}
    # What changes nothing needs no lock.
    assert held.document("deploy", "--no-measure", "--version", "9.9.9", "--memory-limit", "6MiB")["changed"] is False
    assert "nobody holds" in held.run("unlock").out
    assert held.run("restart").code == 0


def test_the_document_of_a_refusal_names_the_cure(held: Board) -> None:
    refused = held.run("deploy", "--no-measure", "--version", "9.9.8", "--json")
    error = json.loads(refused.out)["error"]
    assert error["kind"] == "Refused" and "unlock" in error["cure"] and not error["notes"][1:], error
    assert loopback.status("local") is not None


def test_a_release_whose_reading_is_over_budget_does_not_stay_where_the_user_wants_it_so(board: Board) -> None:
    gate = ("--gate-memory", "--messages", "5", "--version", "9.9.7")
    refused = board.run("deploy", *gate, "--budget", "1MiB", "--json")
    assert refused.code == 1
    document = json.loads(refused.out)
    assert document["verdict"] == "FAIL" and "does not let it stay" in document["reason"]
    assert any("is back and runs" in note for note in document["error"]["notes"]), document
    assert board.status()["version"] == "9.9.9"
    assert board.document("deploy", *gate)["verdict"] == "PASS"
    assert board.status()["version"] == "9.9.7"
    assert not list((board.prefix / "run").glob("guard*"))
