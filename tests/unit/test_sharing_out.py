"""The tests are shared out so that no machine is booted twice and nobody waits for a long one at the end."""

from __future__ import annotations

from pathlib import Path

from sharing_out import LONGEST_FIRST, rank, together

TESTS = Path(__file__).resolve().parents[1]


def test_what_shares_a_machine_goes_to_one_worker_and_the_rest_does_not_wait_for_it() -> None:
    here = "tests/emulated/test_machines.py::test_a_login_with_another_key_or_none_is_refused"
    there = "tests/emulated/test_probe.py::test_an_emulated_board_says_what_it_is_in_one_round_trip"
    assert together(f"{here}[riscv64]") == together(f"{there}[riscv64]") != together(f"{there}[armv7]")
    alone = "tests/emulated/test_deploy.py::test_the_whole_story_of_an_emulated_board[licheerv]"
    assert together(alone) == alone
    assert together("tests/unit/cli/test_boards.py::test_one[a]") == together("tests/unit/cli/test_boards.py::test_two")
    assert together("tests/ssh/test_fleet.py::test_one") != together("tests/ssh/test_fleet.py::test_two")


def test_what_takes_longest_is_there_and_comes_first() -> None:
    assert all((TESTS / each).exists() for each in LONGEST_FIRST)
    ranks = [rank(f"{each}test_more.py" if each.endswith("/") else each) for each in LONGEST_FIRST]
    assert ranks == sorted(set(ranks)) and rank("unit/test_elf.py") > max(ranks)
