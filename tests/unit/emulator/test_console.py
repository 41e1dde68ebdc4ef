"""What an emulated board prints is read the same however it arrives, and takes no more of the disk than its share."""

from __future__ import annotations

import stat
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.emulator.console import Console, last_lines

LISTENS = b"slimdeploy: the SSH server listens\r\n"


def heard(pieces: list[bytes]) -> tuple[list[str], str, bool]:
    told: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        console = Console(Path(folder) / "console.log", told.append)
        for piece in pieces:
            console.feed(piece)
        assert (Path(folder) / "console.log").read_bytes() == b"".join(pieces)
    return told, console.panic, ("the SSH server listens" in console.said)


lines = st.one_of(
    st.binary(max_size=30),
    st.just(LISTENS),
    st.binary(max_size=20).map(lambda rest: b"slimdeploy: " + rest + b"\n"),
    st.just(b"[    1.2] Kernel panic - not syncing: VFS: no root\r\n"),
    st.integers(900, 2500).map(lambda count: b"slimdeploy: " + b"x" * count + b"\xc3\xa4\r\n"),
)


@given(st.lists(lines, max_size=12).map(b"".join), st.lists(st.integers(0, 6000), max_size=12))
def test_where_the_chunks_are_cut_makes_no_difference(printed: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(printed)) for cut in cuts), len(printed)]
    assert heard([printed[a:b] for a, b in pairwise(edges)]) == heard([printed])


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def console(tmp_path: Path, told: list[str]) -> Console:
    return Console(tmp_path / "console.log", told.append)


def test_what_our_scripts_say_is_told_and_nothing_else(console: Console, told: list[str]) -> None:
    console.feed(b"OpenSBI v1.5\r\nslimdeploy: loading the drivers\r\n not slimdeploy: this\r\n")
    assert told == ["loading the drivers"]
    assert "the SSH server listens" not in console.said
    console.feed(LISTENS)
    assert told == ["loading the drivers", "the SSH server listens"]
    assert "the SSH server listens" in console.said


def test_a_panic_is_found_and_its_first_words_kept(console: Console) -> None:
    console.feed(b"[    0.512345] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n")
    console.feed(b"[    0.6] ---[ end Kernel panic - not syncing: VFS ]---\r\n")
    assert console.panic == "Kernel panic - not syncing: VFS: Unable to mount root fs"


def test_a_new_boot_forgets_what_the_old_one_was(console: Console, tmp_path: Path) -> None:
    console.feed(LISTENS + b"Kernel panic - not syncing: x\nslimdeploy: half a li")
    console.booting()
    assert (console.panic, ("the SSH server listens" in console.said)) == ("", False)
    console.feed(b"ne\n")
    assert b"Kernel panic" in (tmp_path / "console.log").read_bytes()


def test_nothing_that_steers_a_terminal_is_told(console: Console, told: list[str], tmp_path: Path) -> None:
    console.feed(b"slimdeploy: \x1b[2Jgone \xff\n")
    assert told == ["gone �"]
    assert "\x1b" not in last_lines(tmp_path / "console.log", 5)


@pytest.mark.parametrize(
    "before", [b"\r\x1b[K", b"\x1bM\r\x1b[K", b"[ \x1b[31m*\x1b[0m ] (2 of 2) Job x.service/start running (5s)\r\x1b[K"]
)
def test_a_line_of_ours_is_found_where_systemd_has_just_erased_its_own(
    console: Console, told: list[str], before: bytes
) -> None:
    console.feed(before + LISTENS)
    assert (told, "the SSH server listens" in console.said) == (["the SSH server listens"], True)


def test_the_file_is_private_and_stays_small_while_its_end_is_kept(console: Console, tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    largest = 0
    for number in range(40):
        console.feed(b"%08d\n" % number * 7000)
        largest = max(largest, path.stat().st_size)
    assert largest <= 1024 * 1024
    assert last_lines(path, 2) == "00000039\n00000039"
    assert path.read_bytes().startswith(b"000000"), "a kept part begins with a whole line"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.glob("console*")] == ["console.log"]


def test_a_line_without_an_end_neither_fills_memory_nor_empties_the_file(console: Console, tmp_path: Path) -> None:
    for _ in range(20):
        console.feed(b"x" * 60_000)
        assert (tmp_path / "console.log").stat().st_size >= 60_000
    assert len(console._rest) <= 1000
    console.feed(b"\n" + LISTENS)
    assert "the SSH server listens" in console.said


def test_a_board_that_talks_like_our_scripts_without_an_end_is_not_told_for_ever(
    console: Console, told: list[str]
) -> None:
    for _ in range(50):
        console.feed(b"slimdeploy: so it goes on\n" * 100)
    assert len(told) <= 200
    console.booting()
    console.feed(LISTENS)
    assert told[-1] == "the SSH server listens"


def test_the_last_lines_of_a_file_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none", 5) == ""
