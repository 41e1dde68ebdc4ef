"""In whatever a board differs from the next one, it is deployed to, or refused with the sentence for just that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from emulated_board import ImageOf, slot
from program import Ended, Slimdeploy

from deploy import catalogue
from deploy.emulator import emulated
from deploy.emulator.machines import machine_for
from deploy.emulator.switches import NAMES

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]

RISCV, MIPS = "licheerv", "openwrt-mt7621"

TAKEN = {
    "without what it can do without": (
        RISCV,
        "noexec-tmp,no-ca-bundle,swap-zram,no-gunzip,no-xz,no-setsid,no-nohup,no-od",
        "no hard limit (this kernel has no memory cgroup that is mounted)",
        "no-cgroup",
    ),
    "with an overlay over a system that is never written": (RISCV, "read-only-root", "hard limit 16.0 MiB", ""),
    "with cgroups of version 1": (MIPS, "cgroup-v1", "hard limit 16.0 MiB (cgroup v1)", ""),
}
"""What is switched on a board that is deployed to all the same, and what Start says then."""

REFUSED = {
    "no-sha256sum": "the board has neither sha256sum nor openssl",
    "flash-left=2MiB": "KiB free, the release needs",
    "clock-1970": "the board's clock says 1970-01-01",
}


@dataclass
class Board:
    """One board that is up with switches, and the program that is pointed at it."""

    name: str
    slimdeploy: Slimdeploy

    def deploy(self, *more: str) -> Ended:
        return self.slimdeploy("deploy", "--board", self.name, "--emulate", "--no-measure", *more, timeout_s=300)


class Desk:
    """Where boards are brought up, one at a time."""

    def __init__(self, image_of: ImageOf, slimdeploy: Slimdeploy) -> None:
        self._image_of, self._slimdeploy = image_of, slimdeploy
        self.up: set[str] = set()

    def board(self, name: str, switches: str) -> Board:
        self._image_of(machine_for(catalogue.board(name).target).name)
        self.up.add(name)
        up = self._slimdeploy("emulate.up", "--board", name, "--switches", switches, timeout_s=300)
        assert up.code == 0, up.err
        return Board(name, self._slimdeploy)


@pytest.fixture
def desk(private_home: Path, emulated_cache: Path, image_of: ImageOf, slimdeploy: Slimdeploy) -> Iterator[Desk]:
    home = private_home / "slimdeploy"
    home.mkdir()
    (home / "cache").symlink_to(emulated_cache / "cache")
    with slot(emulated_cache):
        desk = Desk(image_of, slimdeploy)
        try:
            yield desk
        finally:
            for name in desk.up:
                emulated.down(name)


@pytest.mark.parametrize("how", TAKEN)
def test_a_board_is_deployed_to(how: str, desk: Desk) -> None:
    name, switches, said, more = TAKEN[how]
    board = desk.board(name, ",".join(filter(None, (switches, more))))
    done = board.deploy("--hard-limit", "16MiB", "--json")
    assert done.code == 0, done.out + done.err
    start = next(step["detail"] for step in done.document["steps"] if step["title"] == "Start")
    assert said in start, start
    assert board.deploy("--hard-limit", "16MiB", "--json").document["changed"] is False
    if "noexec-tmp" in switches:
        refused = board.deploy("--prefix", "/tmp/picoclaw")
        assert (refused.code, "which is mounted noexec" in " ".join(refused.err.split())) == (4, True), refused.err


@pytest.mark.parametrize("switch", REFUSED)
def test_or_refused_with_the_sentence_for_it_and_nothing_is_left_there(switch: str, desk: Desk) -> None:
    board = desk.board(RISCV, switch)
    refused = board.deploy()
    assert refused.code == 4, refused.out
    said = " ".join(refused.err.split())
    assert REFUSED[switch] in said and "cure: " in said, said
    nothing = board.slimdeploy("status", "--board", RISCV, "--emulate")
    assert "no gateway is installed" in nothing.err


def test_every_switch_is_tried_here() -> None:
    tried = {word for _, switches, _, more in TAKEN.values() for word in (*switches.split(","), more) if word}
    assert tried | {name.replace("2MiB", "SIZE") for name in REFUSED} == set(NAMES)
