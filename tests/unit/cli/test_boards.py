"""boards.show: of every board of the catalogue, which emulated machine stands for it, and what that leaves open."""

from __future__ import annotations

import json

import pytest
from invoke.context import Context

from deploy import catalogue
from deploy.cli import boards
from deploy.emulator.machines import machine_for
from deploy.model.board import Board

BIG_ENDIAN = "there is no emulated machine for mips: Debian has no big-endian MIPS any more"
LOONG = "there is no emulated machine for loong64: Debian 13 has no kernel for LoongArch"
NONE = {"openwrt-ath79": BIG_ENDIAN, "loongson-2k0300": LOONG, "local": "it is this machine itself"}
"""The boards that no emulated machine stands for, and why."""


def shown(board: str, capsys: pytest.CaptureFixture[str], *, as_json: bool) -> str:
    boards.show.body(Context(), board=board, json=as_json)
    return capsys.readouterr().out


@pytest.mark.parametrize("board", catalogue.boards(), ids=lambda board: board.name)
def test_each_board_says_which_machine_stands_for_it_or_why_none_does(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    said = " ".join(shown(board.name, capsys, as_json=False).split())
    stand = json.loads(shown(board.name, capsys, as_json=True))["emulated"]
    if board.name in NONE:
        assert f"emulated by {NONE[board.name]}" in said
        assert (stand["machine"], stand["not_covered"]) == ("", []) and stand["why_none"].startswith(NONE[board.name])
        return
    machine = machine_for(board.target)
    assert f"emulated by {machine.title} not told by that" in said
    assert (stand["machine"], stand["why_none"]) == (machine.title, "")
    assert "the vendor's kernel and its drivers" in stand["not_covered"]
    assert all(" ".join(each.split()) in said for each in stand["not_covered"])
