"""Every board of the catalogue has a machine that stands for it, or a sentence that says why there is none."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from deploy import catalogue
from deploy.emulator.machines import MACHINES, Machine, Stand, machine_called, machine_for, not_covered, stand_for
from deploy.errors import Unsupported, UsageError
from deploy.model.board import Board
from deploy.model.target import ELF_OF_GOARCH, Target

MIB = 1024

NO_KERNEL = ("mips", "loong64")
"""What boards of the catalogue are, and Debian 13 has no kernel for."""

BOARDS = [board for board in catalogue.boards() if board.name != "local"]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_of_the_catalogue_has_a_machine_or_a_sentence(board: Board) -> None:
    try:
        machine = machine_for(board.target)
    except Unsupported as refused:
        assert str(refused).startswith(f"there is no emulated machine for {board.target.goarch}: ")
        assert board.target.goarch in NO_KERNEL
        return
    assert machine.program_package.startswith("qemu-system-")
    assert "the vendor's kernel and its drivers" in not_covered(board, machine)


@pytest.mark.parametrize(
    ("goarch", "variant", "name"),
    [
        ("riscv64", "", "riscv64"),
        ("arm64", "", "arm64"),
        ("arm", "7", "armv7"),
        ("arm", "6", "armv7"),
        ("mipsle", "softfloat", "mipsle"),
        ("amd64", "", "amd64"),
    ],
)
def test_a_target_runs_on_the_machine_of_its_architecture(goarch: str, variant: str, name: str) -> None:
    assert machine_for(Target(goarch, variant)) is machine_called(name)


@pytest.mark.parametrize(("goarch", "words"), [("mips", "big-endian"), ("loong64", "LoongArch"), ("mips64", "tried")])
def test_a_target_without_a_machine_is_refused_with_the_reason(goarch: str, words: str) -> None:
    with pytest.raises(Unsupported, match=rf"no emulated machine for {goarch}: .*{words}"):
        machine_for(Target(goarch))


def test_every_architecture_that_can_be_built_has_an_answer() -> None:
    for goarch in ELF_OF_GOARCH:
        try:
            assert machine_for(Target(goarch)) in MACHINES
        except Unsupported as refused:
            assert goarch in str(refused)


def test_an_armv6_board_is_told_that_its_kernel_is_armv7() -> None:
    zero = next(board for board in BOARDS if board.target == Target("arm", "6"))
    assert "ARMv6" in not_covered(zero, machine_for(zero.target))[0]
    seven = dataclasses.replace(zero, target=Target("arm", "7"))
    assert not any("ARMv" in each for each in not_covered(seven, machine_for(seven.target)))


def test_a_board_without_an_fpu_is_told_that_its_machine_has_one() -> None:
    router = next(board for board in BOARDS if board.name == "openwrt-mt7621")
    assert "no FPU" in not_covered(router, machine_for(router.target))[0]
    hard = dataclasses.replace(router, target=Target("mipsle", "hardfloat"))
    assert not any("FPU" in each for each in not_covered(hard, machine_for(hard.target)))


def test_the_loopback_board_is_stood_for_by_no_machine() -> None:
    assert stand_for(catalogue.board("local")) == Stand("", "it is this machine itself", ())


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_more_to_be_seen_is_never_less_to_be_given(machine: Machine) -> None:
    given = [machine.memory_kib(visible * 1000) for visible in range(16, 1100)]
    assert given == sorted(given)
    for visible, total in zip(range(16, 1100), given, strict=True):
        assert total % MIB == 0, "QEMU's -m takes whole MiB"
        seen = total - total // machine.kernel_share - machine.kernel_kib
        assert visible * 1000 - 2 <= seen < visible * 1000 + 2 * MIB


def test_names_are_told_apart_and_an_unknown_one_is_refused() -> None:
    assert len({machine.name for machine in MACHINES}) == len(MACHINES)
    with pytest.raises(LookupError):
        machine_called("vax")


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_bounds_of_memory_are_refused_on_their_outer_side_alone(machine: Machine) -> None:
    machine.refuse_memory(machine.least_kib)
    machine.refuse_memory(machine.most_kib or 2048 * MIB)
    if machine.least_kib:
        with pytest.raises(UsageError, match=rf"{machine.least_kib // MIB} MiB or more.*--memory"):
            machine.refuse_memory(machine.least_kib - 1)
    if machine.most_kib is not None:
        with pytest.raises(UsageError, match=rf"{machine.most_kib // MIB} MiB at most: .*--memory"):
            machine.refuse_memory(machine.most_kib + 1)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_memory_of_a_catalogue_board_can_be_shown(board: Board) -> None:
    if board.target.goarch not in NO_KERNEL:
        machine_for(board.target).refuse_memory(board.ram_kib)


def test_the_page_on_emulated_boards_tells_the_bounds() -> None:
    page = (Path(__file__).parents[3] / "docs" / "emulated.md").read_text()
    for machine in MACHINES:
        row = rf"^\| {'ARM' if machine.name == 'armv7' else machine.name} \| {machine.least_kib // MIB} MiB \|"
        most = f" {machine.most_kib // MIB} MiB" if machine.most_kib else ""
        assert not machine.least_kib or re.search(row + most, page, flags=re.MULTILINE), machine.name
