"""In whatever a board differs from the next one, it is deployed to, or refused with the sentence for just that."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from emulated_board import ImageOf, slot
from login import run
from program import Ended, Slimdeploy

from deploy import catalogue
from deploy.emulator import emulated
from deploy.emulator.kept import KeptBoard
from deploy.emulator.machines import machine_for
from deploy.emulator.switches import NAMES

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]

RISCV, MIPS = "licheerv", "openwrt-mt7621"

TAKEN = {
    "without what it can do without": (
        RISCV,
        "noexec-tmp,no-ca-bundle,swap-zram,no-gunzip,no-xz,no-setsid,no-nohup,no-od,no-sha256sum",
        "no hard limit (this kernel has no memory cgroup that is mounted)",
        "no-cgroup",
    ),
    "with an overlay over a system that is never written": (RISCV, "read-only-root", "hard limit 16.0 MiB", ""),
    "with cgroups of version 1": (MIPS, "cgroup-v1", "hard limit 16.0 MiB (cgroup v1)", ""),
}
"""What is switched on a board that is deployed to all the same, and what Start says then."""

REFUSED = {
    "flash-left=2MiB": ("KiB free, the release needs", "rm /filler"),
    "clock-1970": ("the board's clock says 1970-01-01", "date -s @{now}"),
}
"""What a board with all of them says one after the other, and what cures it on the board."""


@dataclass
class Board:
    """One board that is up with switches, and the program that is pointed at it."""

    name: str
    slimdeploy: Slimdeploy

    def deploy(self, *more: str) -> Ended:
        return self.slimdeploy("deploy", "--board", self.name, "--emulate", "--no-measure", *more, timeout_s=550)


class Desk:
    """Where boards are brought up, one at a time."""

    def __init__(self, image_of: ImageOf, slimdeploy: Slimdeploy) -> None:
        self._image_of, self._slimdeploy = image_of, slimdeploy
        self.up: set[str] = set()

    def board(self, name: str, switches: str, *more: str) -> Board:
        self._image_of(machine_for(catalogue.board(name).target).name)
        self.up.add(name)
        up = self._slimdeploy("emulate.up", "--board", name, "--switches", switches, *more, timeout_s=550)
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


def here(name: str) -> KeptBoard:
    found = emulated.status(name)
    assert found is not None
    return found


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


def test_or_refused_with_the_sentence_for_it_until_it_is_cured(desk: Desk) -> None:
    board = desk.board(RISCV, ",".join(REFUSED))
    for sentence, cure in REFUSED.values():
        refused = board.deploy()
        assert refused.code == 4, refused.out
        said = " ".join(refused.err.split())
        assert sentence in said and "cure: " in said, said
        nothing = board.slimdeploy("status", "--board", RISCV, "--emulate")
        assert "no gateway is installed" in nothing.err
        run(here(RISCV), cure.format(now=int(time.time())))
    taken = board.deploy()
    assert taken.code == 0, taken.err


def test_a_board_has_the_memory_the_flash_and_the_link_that_were_asked_for(desk: Desk) -> None:
    asked = {"memory": "48MiB", "disk": "24MiB", "latency": "150ms", "bandwidth": "2mbit"}
    flags = [word for name, value in asked.items() for word in (f"--{name}", value)]
    board = desk.board(RISCV, "no-cgroup", *flags)
    listed = board.slimdeploy("emulate.list", "--json").document["boards"]
    (facts,) = (each["facts"] for each in listed if each["board"] == RISCV)
    up = here(RISCV)
    seen_kib = int(run(up, "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"))
    assert 48 * 1024 <= seen_kib < 51 * 1024
    assert facts["memory that Linux sees"] == f"{seen_kib} kB" and facts["flash"] == "24 MiB"
    assert run(up, "cat /sys/class/block/vda/size") == str(24 * 2048), "in sectors of 512 bytes"
    assert float(facts["time to login"].removesuffix(" s")) > 0

    began_s = time.monotonic()
    with socket.create_connection((up.address, up.port), 10) as connection:
        assert connection.recv(4) == b"SSH-"
    assert time.monotonic() - began_s >= 0.15
    kib = 256
    began_s = time.monotonic()
    assert run(up, f"dd if=/dev/zero bs=1024 count={kib} 2>/dev/null | tr '\\0' x").count("x") == kib * 1024
    assert time.monotonic() - began_s >= kib * 1024 * 8 / 2e6, "through 2 Mbit/s"

    assert board.slimdeploy("emulate.up", "--board", RISCV, *flags, "--switches", "no-cgroup").code == 0, "as it is"
    other = board.slimdeploy("emulate.up", "--board", RISCV, "--memory", "64MiB")
    assert (other.code, "is up already, with another memory" in " ".join(other.err.split())) == (2, True), other.err
    last = board.slimdeploy("emulate.console", "--board", RISCV, "--lines", "1")
    assert last.code == 0 and last.out.strip() == "slimdeploy: the SSH server listens", last.out
    whole = board.slimdeploy("emulate.console", "--board", RISCV, "--lines", "1000")
    assert len(whole.out.splitlines()) > 3 and whole.out.endswith(last.out)
    down = board.slimdeploy("emulate.down", "--board", RISCV)
    assert down.code == 0 and "no process and no file" in down.out
    gone = board.slimdeploy("emulate.console", "--board", RISCV)
    assert (gone.code, "is not up" in gone.err) == (2, True), gone.err


def test_every_switch_is_tried_here() -> None:
    tried = {word for _, switches, _, more in TAKEN.values() for word in (*switches.split(","), more) if word}
    assert tried | {name.replace("2MiB", "SIZE") for name in REFUSED} == set(NAMES)
