"""The records of deployments: one that is damaged is told in words, and stands in nobody's way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from deploy import deployments
from deploy.cli import going_back, memory, options, reaching
from deploy.cli.claims import Claimed, claim
from deploy.cli.cures import cure
from deploy.cli.reaching import Place
from deploy.errors import BadFile, NothingThere, NotMeasured
from deploy.folders import state_folder
from deploy.model.board import Board
from deploy.model.deployment import Deployment
from deploy.model.host import Host
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.target import Target
from deploy.transport.scripted import ScriptedTransport

HOST = "root@192.0.2.7"
RECORD = Deployment("licheerv", HOST, "/opt/picoclaw", "picoclaw", "aa" * 32, Limits(), 8080, command="-x")
PLACE = Place(Board("licheerv", "", Target("riscv64"), 0), Host("192.0.2.7", "root"))


@pytest.fixture
def last() -> Path:
    """The file of the record."""
    deployments.remember(RECORD)
    return next((state_folder() / "deployments").glob("*/last.json"))


def without(*names: str, **more: object) -> str:
    found: dict[str, Any] = {"limits": {}, "board": "b", "host": "h", "prefix": "/p", "binary": "x", "sha256": "aa"}
    found |= {"health_port": 1, **more}
    return json.dumps({name: value for name, value in found.items() if name not in names})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (without("board", "sha256", "limits"), "it lacks board, limits, sha256"),
        ("{}", "it lacks binary, board, health_port, host, limits, prefix, sha256"),
        (without(colour="red"), "it has colour, which no record has"),
        (without(sha256=7), "a field has the wrong type"),
        ("[]", "it is no object in { }"),
        ("{", "line 1 column 2"),
        ('{"a": "\udcff"}', "can't decode byte"),
    ],
)
def test_a_damaged_record_is_told_in_words_and_a_deployment_writes_it_anew(last: Path, content: str, why: str) -> None:
    last.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadFile, match=r"it is no record of a deployment") as bad:
        deployments.recall("licheerv", HOST)
    assert why in bad.value.problem and "__init__" not in bad.value.problem
    assert cure(bad.value).startswith("Deploy again, which writes it anew")
    deployments.remember(RECORD)
    assert deployments.recall("licheerv", HOST) == RECORD


def test_a_record_that_can_not_be_read_says_why(last: Path) -> None:
    last.unlink()
    last.mkdir()
    with pytest.raises(BadFile, match="it can't be read: Is a directory"):
        deployments.recall("licheerv", HOST)


def test_a_damaged_record_stands_in_nobodys_way_back(last: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    monkeypatch.setattr(going_back, "way_of", lambda *_, is_gateway, **__: taken.append(is_gateway))
    going_back.way_back(PLACE, ScriptedTransport({}))
    last.write_text("{")
    going_back.way_back(PLACE, ScriptedTransport({}))
    assert taken == [False, True], "a program that is no gateway; and what nothing more is known of"
    (earlier,) = (each for each in last.parent.glob("*.json") if each != last)
    earlier.write_text("{")
    deployments.go_back("licheerv", HOST, "", "aa" * 32)
    assert not last.exists()


def test_without_a_record_the_whole_command_is_named_that_claims_a_binary() -> None:
    with pytest.raises(
        NothingThere, match=f"memory --board licheerv --host {HOST} --sha256 HASH names the binary"
    ) as no:
        claim(PLACE, Layout("/opt/picoclaw"), Claimed())
    assert cure(no.value) == "", "the sentence says it all"
    assert "memory --board … --explain" in cure(NotMeasured("a proof is missing"))


def test_a_config_and_the_hosts_have_cures_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.json"
    config.write_text("{")
    config.chmod(0o600)
    with pytest.raises(BadFile) as bad:
        options.settings(str(config))
    assert "docs/gateway.md" in cure(bad.value) and "_example.toml" not in cure(bad.value)


def test_a_process_that_is_not_there_gets_no_advice_to_look_at_its_proofs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise NothingThere("there is no process 7")

    monkeypatch.setattr(reaching, "choose", nobody)
    with pytest.raises(Exit) as ended:
        memory.idle.body(Context(), board="licheerv")
    assert ended.value.code == 3 and capsys.readouterr().err == "error: there is no process 7\n"
