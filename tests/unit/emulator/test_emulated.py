"""What an emulated board needs is looked at before its image is made or a daemon starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deploy import catalogue
from deploy.emulator import emulated, images, qemu
from deploy.emulator.emulated import Wanted
from deploy.emulator.machines import Machine
from deploy.errors import SlimdeployError, Unsupported, UsageError
from deploy.folders import state_folder
from deploy.model.target import Target


@pytest.fixture(autouse=True)
def nothing_is_made(private_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(machine: Machine, *more: object) -> None:
        pytest.fail(f"an image was made for {machine.name}")

    monkeypatch.setattr(images, "image_for", made)


def refused(error: type[SlimdeployError], problem: str, name: str, wanted: Wanted | None = None) -> None:
    with pytest.raises(error, match=problem):
        emulated.up(catalogue.board(name), wanted)
    assert not state_folder().exists() or not list(state_folder().rglob("*"))


def test_a_board_whose_architecture_has_no_machine_is_refused_with_the_reason() -> None:
    refused(Unsupported, "no emulated machine for mips: Debian has no big-endian MIPS", "openwrt-ath79")
    loong64 = replace(catalogue.board("licheerv"), target=Target("loong64"))
    with pytest.raises(Unsupported, match="no kernel for LoongArch"):
        emulated.up(loong64)


@pytest.mark.parametrize(
    ("name", "package"),
    [("licheerv", "qemu-system-misc"), ("rpi-zero", "qemu-system-arm"), ("openwrt-mt7621", "qemu-system-mips")],
)
def test_a_missing_qemu_is_named_with_the_command_that_installs_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    refused(Unsupported, f"this machine has no qemu-system-.*; install it: apt-get install {package}$", name)


@pytest.fixture
def qemu_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "program_of", lambda machine: machine.program)


@pytest.mark.usefixtures("qemu_is_there")
@pytest.mark.parametrize(
    ("name", "mib", "problem"),
    [
        ("licheerv", 8, r"QEMU virt, a generic 64-bit RISC-V boots with \d+ MiB or more"),
        ("openwrt-mt7621", 257, r"QEMU malta with a 24Kf shows Linux 2\d\d MiB at most"),
        ("openwrt-mt7621", 8, "or more"),
    ],
)
def test_a_memory_that_the_machine_cant_show_is_refused_with_its_bound(name: str, mib: int, problem: str) -> None:
    refused(UsageError, problem, name, Wanted(memory_kib=mib * 1024))


@pytest.mark.usefixtures("qemu_is_there")
def test_a_catalogue_board_whose_memory_the_machine_cant_show_is_refused_too() -> None:
    large = replace(catalogue.board("openwrt-mt7621"), ram_kib=512 * 1024)
    with pytest.raises(UsageError, match=r"at most.*--memory"):
        emulated.up(large)
