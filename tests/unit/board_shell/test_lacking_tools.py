"""Boards without readlink, od, sha256sum: BusyBox with applets taken away answers the same, or says what it lacks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from shells import BusyBoxTransport

from deploy.board_shell import identity
from deploy.board_shell.framing import Framing
from deploy.board_shell.observation import parse_observation
from deploy.board_shell.proc_files import FUNCTIONS
from deploy.board_shell.reading_back import ReadsBack
from deploy.board_shell.samples import Pace, sampling_script
from deploy.board_shell.shell_functions import HASH
from deploy.model.layout import Layout
from deploy.transport.protocol import Script

pytestmark = pytest.mark.install_check

ONE = Pace(steady=1, most=1, settle_s=2)


def run(folder: Path, lacking: tuple[str, ...], text: str) -> str:
    ended = BusyBoxTransport(folder, lacking).run(Script("ask", FUNCTIONS + HASH + text, changes=False))
    return ended.stdout.decode()


@pytest.mark.parametrize("lacking", [("od",), ("readlink",), ("od", "readlink")])
def test_hexdump_stands_in_for_od_and_ls_for_readlink(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    text = "hex_of /proc/self/exe 4; echo; target_of /proc/self/exe"
    hex_digits, _, target = run(tmp_path / "applets", lacking, text).strip().partition("\n")
    assert bytes.fromhex("".join(hex_digits.split())) == b"\x7fELF"
    assert target.strip().endswith("/busybox")


def test_without_od_and_hexdump_there_are_no_bytes_and_no_guess(tmp_path: Path) -> None:
    assert run(tmp_path / "applets", ("od", "hexdump"), "hex_of /bin/sh 4; echo status $?").strip() == "status 2"


def test_without_any_tool_for_hashes_the_hash_fails_and_is_not_empty_by_chance(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    with_tool = run(tmp_path / "applets", (), f"hash_of '{file}'")
    assert with_tool.strip() == hashlib.sha256(b"content").hexdigest()
    without = run(tmp_path / "fewer", ("sha256sum", "openssl"), f"hash_of '{file}'; echo status $?")
    assert without.strip() == "status 1"
    absent = run(tmp_path / "applets", (), f"hash_of '{file}.none'; echo status $?")
    assert absent.strip() == "status 1"


def test_a_board_that_lacks_the_tools_gives_samples_all_the_same_and_names_what_it_could_not_tell(
    tmp_path: Path, sleeper: int
) -> None:
    lacking = ("od", "hexdump", "sha256sum", "readlink", "tr", "getconf")
    framing = Framing.new()
    board = ReadsBack(BusyBoxTransport(tmp_path / "applets", lacking))
    hashed = hashlib.sha256(Path(f"/proc/{sleeper}/exe").read_bytes()).hexdigest()
    seen = parse_observation(framing, board.run(sampling_script(framing, Layout(str(tmp_path)), sleeper, ONE)).stdout)
    assert len(seen.looks) == 1
    assert seen.before.exe.endswith("/sleep")
    assert (seen.before.sha256, seen.before.sha256_fault, seen.before.elf) == (hashed, "", b"")
    assert seen.before.environment == ()
    assert seen.before.environment_fault
    assert seen.before.soft_limit(identity.SOFT_LIMITS[0]) is None
