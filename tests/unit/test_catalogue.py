"""Boards as data: what is bundled is whole, and a file with faults is told all of them at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import catalogue
from deploy.bundled import boards_folder
from deploy.errors import BadFile, UnknownName
from deploy.folders import config_folder

EXAMPLE = boards_folder() / "_example.toml"

GOOD = """
title = "mine"
[target]
goarch = "arm"
variant = "6"
[ram]
size = "64MiB"
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_every_bundled_board_is_whole_and_names_its_sources() -> None:
    boards = {board.name: board for board in catalogue.boards()}
    assert {"local", "licheerv", "rpi-zero", "luckfox-pico", "openwrt-mt7621"} <= set(boards)
    for board in boards.values():
        assert board.title
        assert board.sources or board.connection == "loopback", board.name
    assert str(boards["rpi-zero"].target) == "linux/arm/6"
    assert str(boards["openwrt-mt7621"].target) == "linux/mipsle/softfloat"
    assert not boards["openwrt-mt7621"].sftp


def flat(table: dict[str, object], before: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in table.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found


def test_the_example_explains_every_key_and_is_a_board_itself(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    assert catalogue.board(write(tmp_path, text, "example.toml")).name == "example"
    lines = text.splitlines()
    for key in flat(tomllib.loads(text)):
        at = next(number for number, line in enumerate(lines) if line.split(" = ")[0] == key.rpartition(".")[2])
        assert lines[at - 1].startswith("# "), f"{key} has no comment"


def test_the_examples_keys_are_those_that_are_read(tmp_path: Path) -> None:
    keys = set(flat(tomllib.loads(EXAMPLE.read_text())))
    asked: list[str] = []

    class Spy(catalogue._Keys):
        def _take(self, key: str, *arguments: object, **more: object) -> object:  # type: ignore[override]
            asked.append(key)
            return super()._take(key, *arguments, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "_Keys", Spy)
        catalogue.parse("example", tomllib.loads(EXAMPLE.read_text()), [])
    assert set(asked) == keys


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'titel = "x"\nprefix = "opt"\nhealth_port = 70000\ninit = "sytemd"\ntags = ["a b"]\n'
        '[target]\ngoarch = "risc64"\n[ram]\nsize = 64\nvisible = "lots"\n[login]\nsftp = "no"\nport = true\n'
        '[limits]\ngomemlimit = "5 MB"\ngogc = 0\n',
    )
    with pytest.raises(BadFile) as bad:
        catalogue.board(path)
    told = "\n".join(bad.value.faults)
    for part in (
        "title is missing",
        "there is no key titel; did you mean title?",
        "prefix is 'opt'",
        "health_port is 70000",
        "did you mean systemd?",
        "tags holds 'a b'",
        "did you mean riscv64?",
        "ram.size has to be a size",
        "ram.visible: 'lots' is not a size",
        "login.sftp has to be true or false",
        "login.port has to be a whole number",
        "limits.gomemlimit",
        "limits.gogc is 0",
    ):
        assert part in told, f"{part!r} is not in:\n{told}"


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ('goarch = "arm"\nvariant = "8"', "which GOARM does not take"),
        ('goarch = "mipsle"\nvariant = "soft"', "which GOMIPS does not take"),
        ('goarch = "arm64"\nvariant = "8"', "arm64 has no variants"),
        ('goarch = "riscv64"\nvariant = "rv64gc"', "which GORISCV64 does not take"),
    ],
)
def test_a_variant_has_to_be_one_that_go_knows(tmp_path: Path, target: str, fault: str) -> None:
    path = write(tmp_path, f'title = "x"\n[target]\n{target}\n[ram]\nsize = "1MiB"\n')
    with pytest.raises(BadFile, match=fault):
        catalogue.board(path)


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="line 2"):
        catalogue.board(write(tmp_path, 'title = "x"\n[[['))


def test_an_unknown_board_names_the_near_misses_and_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as unknown:
        catalogue.board("lichervv")
    assert unknown.value.near[0] == "licheerv"
    with pytest.raises(UnknownName):
        catalogue.board(str(tmp_path / "none.toml"))


def test_a_board_of_the_users_own_stands_beside_the_bundled_ones_and_before_one_of_the_same_name() -> None:
    write(config_folder() / "boards", GOOD)
    write(config_folder() / "boards", GOOD, "licheerv.toml")
    assert catalogue.board("mine").title == "mine"
    assert catalogue.board("licheerv").title == "mine"
    assert "mine" in {board.name for board in catalogue.boards()}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["goarch", "size", "port", "gogc", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_KEYS = st.sampled_from(["title", "target", "ram", "login", "limits", "tags", "prefix", "init", "notes", "other"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_no_table_brings_the_reader_down(table: dict[str, object]) -> None:
    faults: list[str] = []
    board = catalogue.parse("any", table, faults)
    assert (board is None) == bool(faults)
