"""Boards as data: what is bundled is whole, and a file with faults is told all of them at once."""

from __future__ import annotations

import platform
import tempfile
import tomllib
from dataclasses import asdict
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
    families = ("licheerv", "milkv-duo", "rpi", "luckfox-pico", "openwrt", "visionfive2", "beaglebone", "loongson")
    assert all(any(name.startswith(family) for name in boards) for family in families)
    for board in boards.values():
        assert board.title
        assert board.sources or board.connection == "loopback", board.name
    assert str(boards["rpi-zero"].target) == "linux/arm/6"
    assert str(boards["openwrt-mt7621"].target) == "linux/mipsle/softfloat"
    assert not boards["openwrt-mt7621"].sftp
    assert str(boards["openwrt-ath79"].target) == "linux/mips/softfloat"
    assert str(boards["luckfox-pico"].target) == "linux/arm/7"
    assert str(boards["openwrt-ipq40xx"].target) == "linux/arm/7"
    assert str(boards["openwrt-filogic"].target) == "linux/arm64"
    assert str(boards["loongson-2k0300"].target) == "linux/loong64"
    for board in boards.values():
        if board.name.startswith("openwrt-"):
            assert (board.init, board.libc, board.ssh_server, board.sftp) == ("procd", "musl", "dropbear", False)
    assert boards["local"].prefix == "~/.picoclaw"


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


# A second good value for every key of the example; `test_every_field…` fails for a key or a field that is left out.
OTHER_VALUES: dict[str, str] = {
    "title": '"Another"',
    "connection": '"loopback"',
    "prefix": '"~/elsewhere"',
    "init": '"openrc"',
    "health_port": "8099",
    "tags": '["pprof"]',
    "libc": '"glibc"',
    "storage": '"eMMC"',
    "sources": '["a datasheet"]',
    "notes": '["another note"]',
    "token_command": '"op read op://bot"',
    "token_keyring": '"https://api.telegram.org/another"',
    "api_key_command": '"op read op://model"',
    "api_key_keyring": '"model/another"',
    "target.goarch": '"mipsle"',
    "target.variant": '"5"',
    "ram.size": '"512MiB"',
    "ram.visible": '"7MiB"',
    "login.user": '"pi"',
    "login.port": "2222",
    "login.sftp": "false",
    "login.address": '"one.local"',
    "login.server": '"dropbear"',
    "recognise.compatible": '["example,two"]',
    "recognise.models": '["Example Two"]',
    "recognise.systems": '["example/two"]',
    "limits.gomemlimit": '"6MiB"',
    "limits.gogc": "50",
    "limits.gomaxprocs": "2",
    "limits.hard": '"32MiB"',
}
# The file's name, and the one system that is built for.
NOT_IN_A_FILE = {"name", "target.goos"}


def with_key(text: str, dotted: str, value: str) -> str:
    """The example with one key's value replaced, in its own table."""
    table, _, key = dotted.rpartition(".")
    before, header, after = text.partition(f"[{table}]\n") if table else ("", "", text)
    lines = after.splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.startswith(f"{key} = "))
    lines[at] = f"{key} = {value}\n"
    if dotted == "target.goarch":  # each goarch has variants of its own
        lines = ['variant = "hardfloat"\n' if line.startswith("variant = ") else line for line in lines]
    return before + header + "".join(lines)


def test_every_field_of_a_board_is_filled_by_a_key_of_the_example_and_by_one_only(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    example = flat(asdict(catalogue.board(write(tmp_path, text, "example.toml"))))
    assert set(flat(tomllib.loads(text))) == set(OTHER_VALUES)
    filled: set[str] = set()
    for key, value in OTHER_VALUES.items():
        other = flat(asdict(catalogue.board(write(tmp_path, with_key(text, key, value), "example.toml"))))
        changed = {field for field in example if other[field] != example[field]} - {"target.variant"} | (
            {"target.variant"} if key == "target.variant" else set()
        )
        assert len(changed) == 1, f"{key} changes {changed}"
        assert not changed & filled, f"{key} fills {changed}, which another key fills too"
        filled |= changed
    assert filled == set(example) - NOT_IN_A_FILE


def test_what_the_example_says_of_ordinary_values_is_so(tmp_path: Path) -> None:
    example = flat(asdict(catalogue.board(write(tmp_path, EXAMPLE.read_text(), "example.toml"))))
    ordinary = flat(asdict(catalogue.board(write(tmp_path, GOOD, "example.toml"))))
    own = {"title", "target.variant", "visible_ram_kib", "sources", "notes"}
    own |= {
        "libc",
        "storage",
        "address",
        "ssh_server",
        "compatible",
        "models",
        "systems",
        "limits.hard_bytes",
        "token_command",
        "token_keyring",
        "api_key_command",
        "api_key_keyring",
    }  # left out, nothing is known
    assert {field for field in example if example[field] != ordinary[field]} == own


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'titel = "x"\nprefix = "opt"\nhealth_port = 70000\ninit = "sytemd"\ntags = ["a b", "c d"]\n'
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
        "tags holds 'c d'",
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


def test_a_broken_file_of_the_users_is_named_by_the_list_and_hides_no_board_that_is_asked_for_by_name() -> None:
    path = write(config_folder() / "boards", 'titel = "x"\n', "broken.toml")
    write(config_folder() / "boards", "[[[", ".#broken.toml")
    with pytest.raises(BadFile) as bad:
        catalogue.boards()
    assert bad.value.path == path
    assert catalogue.board("licheerv").name == "licheerv"


def test_a_name_that_is_no_boards_is_a_fault_beside_the_others(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as bad:
        catalogue.board(write(tmp_path, GOOD + "more = 1\n", "my board.toml"))
    assert "my board" in bad.value.faults[0]
    assert "there is no key ram.more" in bad.value.faults[1]


@pytest.mark.parametrize(
    "prefix", ["/", "//", "~", "~/", "opt", "~root/x", "/opt/..", "~/.", "/etc", "/var/", "//usr", "/a\\u001b[2J"]
)
def test_a_prefix_is_a_folder_of_its_own(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(BadFile, match="prefix"):
        catalogue.board(write(tmp_path, f'prefix = "{prefix}"\n' + GOOD))


def test_a_prefix_may_lie_at_the_root_or_in_the_home_folder(tmp_path: Path) -> None:
    for prefix in ("/data", "/opt/picoclaw", "~/.picoclaw"):
        assert catalogue.board(write(tmp_path, f'prefix = "{prefix}/"\n' + GOOD)).prefix == prefix


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "too deep"),
        (".".join("a" * 3000) + " = 1", "there is no key a.a"),
        ("health_port = " + "1" * 5000, "too many digits"),
        ("health_port = 0x" + "f" * 5000, "has to lie between"),
        ("title = 0x" + "f" * 5000, "text in quotes"),
        ("title = " + "[" * 50 + "]" * 50, "not a list"),
        ('target = "arm"', r"written \[target\]"),
        ('[[target]]\ngoarch = "arm"', r"written \[target\]"),
        ('"target.goarch" = "arm"', "target.goarch is missing"),
        ('"a\\nb" = 1', r"there is no key 'a\\nb'"),
        ('[limits]\ngomemlimit = "999999999999999GiB"', "limits.gomemlimit is"),
        ('notes = ["\\u0000"]', "control character"),
        ('sources = [" ", 5]', "holds 5"),
    ],
)
def test_a_file_from_a_stranger_is_refused_in_words(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(BadFile, match=fault) as bad:
        catalogue.board(write(tmp_path, text))
    assert all(len(each) < 400 and each.isprintable() for each in bad.value.faults)


def test_a_file_that_is_not_utf_8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b'title = "\xff"')
    with pytest.raises(BadFile, match="not UTF-8: see byte 9"):
        catalogue.board(str(path))


def test_a_table_whose_keys_are_all_commented_out_is_no_fault(tmp_path: Path) -> None:
    assert catalogue.board(write(tmp_path, GOOD + "[limits]\n[login]\n")).port == 22


def test_a_path_that_leads_nowhere_is_an_unknown_name(tmp_path: Path) -> None:
    for path in ("~there-is-no-such-user/x.toml", "/", f"{tmp_path}/none.toml"):
        with pytest.raises(UnknownName) as unknown:
            catalogue.board(path)
        assert "licheerv" in unknown.value.known
    with pytest.raises(BadFile, match="can't be read"):
        catalogue.board("x" * 5000 + ".toml")


@pytest.mark.parametrize(
    ("machine", "target"),
    [("x86_64", "linux/amd64"), ("armv6l", "linux/arm/6"), ("armv7l", "linux/arm/7"), ("riscv64", "linux/riscv64")],
)
def test_the_loopback_board_is_built_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, machine: str, target: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert str(catalogue.board("local").target) == target


def test_a_machine_that_go_does_not_build_for_is_a_fault_of_the_loopback_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(BadFile, match="a vax, is none that Go builds for"):
        catalogue.board("local")


def test_this_machine_may_have_a_variant_and_needs_no_ram(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    found = catalogue.board(write(tmp_path, 'title = "x"\n[target]\ngoarch = "host"\nvariant = "v2"\n'))
    assert str(found.target) == "linux/amd64/v2"
    assert found.ram_kib > 1024


_WORDS = ["title", "target", "ram", "login", "limits", "tags", "prefix", "init", "notes", "goarch", "size", "port", "x"]
_VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.floats()
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.sampled_from(["arm", "host", "6", "64MiB", "~/x", 0, ""])
    | st.integers(5000, 6000).map(lambda digits: 10**digits),  # Python refuses to write such a number out
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*_WORDS, "ram.size", "a\nb", ""]) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=8), _VALUES, max_size=6))
def test_no_table_brings_the_reader_down(table: dict[str, object]) -> None:
    faults: list[str] = []
    board = catalogue.parse("any", table, faults)
    assert (board is None) == bool(faults)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_example_with_any_part_replaced_is_a_board_or_a_bad_file(data: st.DataObject) -> None:
    text = EXAMPLE.read_bytes()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    put = data.draw(st.binary(max_size=6) | st.text(st.sampled_from('"[]{}=.\n#0axe_-'), max_size=6).map(str.encode))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.toml"
        path.write_bytes(text[:start] + put + text[end:])
        try:
            assert catalogue.board(str(path)).name == "any"
        except BadFile as bad:
            assert bad.faults
