"""What this machine remembers of a fleet: given to deeds that may run elsewhere, written down from their results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import deployments
from deploy.cli.fleet.deeds import record_of
from deploy.cli.fleet.remembering import book, with_records
from deploy.cli.fleet.telling import results_document
from deploy.cli.reaching import Place
from deploy.history import Wanted, find
from deploy.model.board import Board
from deploy.model.deployment import Deployment
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.model.limits import Limits
from deploy.model.rollout import Result, State
from deploy.model.target import Target

OLD, NEW = "0d" * 32, "ab" * 32


def record(sha256: str, board: str = "licheerv", host: str = "10.0.0.1") -> Deployment:
    return Deployment(board, host, "/opt/picoclaw", "picoclaw", sha256, Limits(), 8080)


def reading() -> dict[str, Any]:
    return {
        "kind": "idle", "verdict": "PASS", "reason": "", "board": "licheerv", "host": "10.0.0.1",
        "circumstances": {"taken at": "2026-11-28T10:00:00Z"}, "reading": {"rss_kib": 2300},
    }  # fmt: skip


def test_a_deployment_is_remembered_and_its_reading_kept_and_the_result_loses_what_is_not_for_showing() -> None:
    result = Result("h", State.DEPLOYED, board="licheerv", host="10.0.0.1", document=reading(), record=record(NEW))
    entered = book(keep=True)(result)
    assert deployments.recall("licheerv", "10.0.0.1") == record(NEW)
    assert entered.record is None and (entered.document or {})["history"] == find(Wanted())[0].id
    assert "record" not in results_document([result], 1.0)["hosts"][0]
    assert (book(keep=False)(result).document or {})["history"] is None and len(find(Wanted())) == 1
    assert book(keep=True)(Result("h", State.UNREACHABLE)) == Result("h", State.UNREACHABLE)


def test_a_host_that_was_led_back_is_remembered_as_it_was_then() -> None:
    deployments.remember(record(OLD))
    deployments.remember(record(NEW))
    book(keep=True)(Result("h", State.ROLLED_BACK, board="licheerv", host="10.0.0.1", release=OLD[:16]))
    assert deployments.recall("licheerv", "10.0.0.1") == record(OLD)


def test_a_folder_that_cannot_be_written_is_told_of_the_host_whose_record_is_missing(
    private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (private_home / "slimdeploy").mkdir()
    (private_home / "slimdeploy" / "state").write_text("a file where a folder should be")
    entered = book(keep=False)(Result("h", State.DEPLOYED, record=record(NEW)))
    assert entered.state is State.DEPLOYED and entered.exit_code == 2 and "no record" in entered.problem


def test_members_get_what_is_remembered_of_their_board_or_of_whatever_board_they_turn_out_to_be() -> None:
    deployments.remember(record(OLD))
    deployments.remember(record(NEW))
    deployments.remember(record(OLD, "milkv-duo"))
    deployments.remember(replace(record(OLD), machine="an emulated one"))
    named, asked, new = with_records(
        [Member("a", Host("10.0.0.1"), "licheerv"), Member("b", Host("10.0.0.1")), Member("c", Host("10.0.0.9"))]
    )
    assert named.records == (record(NEW),) and new.records == ()
    assert {each.board: each.sha256 for each in asked.records} == {"licheerv": NEW, "milkv-duo": OLD}
    duo = Place(Board("milkv-duo", "", Target("riscv64"), 0), asked.host)
    assert record_of(asked, duo) == record(OLD, "milkv-duo")
    assert record_of(new, duo) is None
