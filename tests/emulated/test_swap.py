"""Swap that `provision` sets up, on real kernels: it is back after a power cut under each init, and leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated_board import ImageOf, slot
from program import Slimdeploy

from deploy import catalogue
from deploy.emulator import emulated
from deploy.emulator.machines import machine_for

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(900)]

_LONG_S = 550

BOARDS = {
    "systemd": ("rpi-zero-2w", "systemd", "128MiB", ""),
    "openrc": ("luckfox-pico", "openrc", "64MiB", ""),
    "busybox_init": ("licheerv", "busybox", "64MiB", "swap-zram"),
}
"""By the init: the board, its user land, its memory, and its switches."""


class Board:
    """One board, and the program that is pointed at it."""

    def __init__(self, slimdeploy: Slimdeploy, name: str) -> None:
        self._slimdeploy = slimdeploy
        self._name = name

    def provision(self, *flags: str) -> dict[str, tuple[str, str]]:
        """State and detail of each wish."""
        ended = self._slimdeploy("provision", "--board", self._name, "--emulate", *flags, "--json", timeout_s=_LONG_S)
        assert ended.code == 0, ended.err + ended.out
        return {each["name"]: (each["state"], each["detail"]) for each in ended.document["wishes"]}

    def cut_the_power(self) -> None:
        ended = self._slimdeploy("emulate.power-cut", "--board", self._name, timeout_s=_LONG_S)
        assert ended.code == 0, ended.err


@pytest.fixture(params=BOARDS)
def board(
    request: pytest.FixtureRequest,
    private_home: Path,
    emulated_cache: Path,
    image_of: ImageOf,
    slimdeploy: Slimdeploy,
) -> Iterator[Board]:
    name, land, memory, switches = BOARDS[request.param]
    image_of(machine_for(catalogue.board(name).target).name, land)
    home = private_home / "slimdeploy"
    home.mkdir()
    (home / "cache").symlink_to(emulated_cache / "cache")
    more = ("--switches", switches) if switches else ()
    with slot(emulated_cache):
        try:
            up = slimdeploy(
                "emulate.up", "--board", name, "--user-land", land, "--memory", memory, *more, timeout_s=_LONG_S
            )
            assert up.code == 0, up.err
            yield Board(slimdeploy, name)
        finally:
            emulated.down(name)


def test_swap_comes_back_at_the_next_start_and_off_ends_it_for_good(
    board: Board, request: pytest.FixtureRequest
) -> None:
    made = board.provision("--swap", "4MiB", "--yes")
    assert made["swap"][0] == "changed" and "/slimdeploy.swap" in made["swap"][1]
    board.cut_the_power()
    back = board.provision("--swap", "4MiB")
    assert back["swap"][0] == "already" and "until its next start" not in back["swap"][1]
    assert board.provision("--swap", "off", "--yes")["swap"] == ("changed", "no swap on its storage")
    if "busybox_init" in request.node.name:  # it starts with zram that is none of ours
        assert board.provision("--zram", "8MiB")["zram"][0] == "already"
        assert board.provision("--zram", "off", "--yes")["zram"] == ("changed", "no swap in compressed memory")
        smaller = board.provision("--zram", "8MiB", "--yes")["zram"]
        assert smaller[0] == "changed" and "/dev/zram0 (8,1" in smaller[1]
        assert board.provision("--zram", "off", "--yes")["zram"][0] == "changed"
    board.cut_the_power()
    assert board.provision("--swap", "off")["swap"][0] == "already"
