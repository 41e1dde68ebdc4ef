"""The whole job on a real kernel of the board's architecture: deployed, measured, its plug pulled, and gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulated_board import children, gone, slot
from program import Slimdeploy

from deploy import catalogue
from deploy.emulator import emulated
from deploy.emulator.kept import KeptBoard
from deploy.emulator.machines import machine_for

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]

MACHINE_WORDS = {
    "licheerv": "riscv64",
    "rpi-zero-2w": "aarch64",
    "luckfox-pico": "armv7l",
    "openwrt-mt7621": "mips",
}
"""What `uname -m` says on the kernel that stands for the board. The 64 MB of a Milk-V Duo are test_services'."""

_DEPLOY_S = 550
"""A cold build cache takes most of it: Go's library is compiled once for each architecture."""


@pytest.fixture(params=MACHINE_WORDS)
def board_name(request: pytest.FixtureRequest, image_of: Callable[[str], Path]) -> str:
    """A board of the catalogue whose image is made."""
    name: str = request.param
    image_of(machine_for(catalogue.board(name).target).name)
    return name


@pytest.fixture
def emulated_home(private_home: Path, emulated_cache: Path, board_name: str) -> Iterator[Path]:
    """The program's own folder with the images and builds of this run in it; no board of the test's outlives it."""
    home = private_home / "slimdeploy"
    home.mkdir()
    (home / "cache").symlink_to(emulated_cache / "cache")
    with slot(emulated_cache):
        yield home
        emulated.down(board_name)


def up(name: str) -> KeptBoard:
    found = emulated.status(name)
    assert found is not None, f"{name} is not up"
    return found


def test_the_whole_story_of_an_emulated_board(board_name: str, emulated_home: Path, slimdeploy: Slimdeploy) -> None:
    here = ("--board", board_name, "--emulate")
    ended = slimdeploy("deploy", *here, "--json", "--messages", "50", timeout_s=_DEPLOY_S)
    assert ended.code == 0, ended.err
    document = ended.document
    assert (document["verdict"], document["kind"]) == ("PASS", "live")
    assert [document["live"][each] for each in ("sent", "received", "answered")] == [50, 50, 50]
    assert document["live"]["tls"].startswith("TLSv1.3")
    assert all(proof["ok"] for proof in document["evidence"] if proof["required"])
    assert 1000 < document["reading"]["rss_kib"] <= 5120

    # It is a Linux kernel of the board's architecture that says so, with the memory that the board has.
    board = up(board_name)
    release = board.facts["kernel"].removeprefix("Linux ")
    kernel = next(proof["detail"] for proof in document["evidence"] if proof["name"] == "real_kernel")
    assert release in kernel and MACHINE_WORDS[board_name] in kernel.split(), kernel
    about = document["circumstances"]
    assert about["emulated machine"] == board.machine == machine_for(catalogue.board(board_name).target).title
    assert about["board"] == board_name and release in about["kernel"]
    seen_kib = int(board.facts["memory that Linux sees"].removesuffix(" kB"))
    known_kib = catalogue.board(board_name).ram_kib
    assert abs(seen_kib - known_kib) <= known_kib // 50

    idle = slimdeploy("memory", *here, "--json")
    assert (idle.code, idle.document["verdict"]) == (0, "PASS"), idle.err
    status = slimdeploy("status", *here, "--json")
    assert status.code == 0 and status.document["running"] is True
    assert status.document["sha256"] == document["artifact"]["sha256"]
    again = slimdeploy("deploy", *here, "--json", "--no-measure").document
    assert again["changed"] is False and again["process"] == document["process"]

    if board_name == "licheerv":  # the other inits are test_services'
        comes_back_after_a_power_cut(board_name, slimdeploy, document["artifact"]["sha256"])

    board = up(board_name)
    daemon = board.daemon.pid
    qemu = children(daemon)
    assert len(qemu) == 1
    down = slimdeploy("emulate.down", "--board", board_name)
    assert down.code == 0 and "no process and no file" in down.out
    assert all(gone(pid) for pid in (daemon, *qemu))
    assert not [path for path in (emulated_home / "state").rglob("*") if path.is_file()]


def comes_back_after_a_power_cut(board_name: str, slimdeploy: Slimdeploy, sha256: str) -> None:
    here = ("--board", board_name, "--emulate")
    cut = slimdeploy("emulate.power-cut", "--board", board_name)
    assert cut.code == 0 and "is back" in cut.out, cut.err
    until_s = time.monotonic() + 60  # the board's own init starts it
    while not (status := slimdeploy("status", *here, "--json")).document["running"]:
        assert time.monotonic() < until_s, status
        time.sleep(1)
    assert status.document["sha256"] == sha256, "the release outlives a power cut"
