"""A host on a real kernel of its architecture is asked what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulated_board import EmulatedBoard
from program import Slimdeploy

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]

TARGETS = {
    # QEMU's rv64 names most of rva22u64, and not all: a profile is all or nothing.
    "riscv64": "linux/riscv64/rva20u64",
    "armv7": "linux/arm/7",
    # Its 24Kf has an FPU, and says so; routers' 24Kc has none.
    "mipsle": "linux/mipsle/hardfloat",
}
WORDS = {"riscv64": (64, 243), "armv7": (32, 40), "mipsle": (32, 8)}


@pytest.fixture
def login(board: EmulatedBoard) -> tuple[str, ...]:
    host = f"{board.state['user']}@127.0.0.1:{board.state['port']}"
    return ("--host", host, "--identity", str(board.folder / "id_ed25519"), "--accept-new-host-key")


@pytest.mark.parametrize("board", ["riscv64", "armv7", "mipsle"], indirect=True, scope="session")
def test_an_emulated_board_says_what_it_is_in_one_round_trip(
    board: EmulatedBoard, login: tuple[str, ...], slimdeploy: Slimdeploy, tmp_path: Path
) -> None:
    said = board.run("uname -r; uname -m; sed -n 's/MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo").out.split()
    ended = slimdeploy("boards.probe", *login, "--json", "--write", str(tmp_path / "mine.toml"))
    assert ended.code == 0, ended.err
    document = ended.document
    assert (document["target"], document["known"]) == (TARGETS[board.machine], False)
    probed = document["probed"]
    assert [probed["kernel_release"], probed["machine"], str(probed["ram_kib"])] == said
    assert (probed["elf"]["bits"], probed["elf"]["machine"]) == WORDS[board.machine]
    assert probed["elf"]["little_endian"] is True
    assert (probed["init"], probed["ssh_server"], probed["sftp"]) == ("busybox_init", "dropbear", False)
    assert (probed["libc"], probed["user"], probed["is_root"]) == ("glibc", "root", True)
    assert {"gunzip", "sha256sum"} <= set(probed["tools"])
    assert "/" in {each["mount_point"] for each in probed["file_systems"]}
    assert {each["name"]: each["kind"] for each in probed["devices"]}["vda"] == "disk"
    text = (tmp_path / "mine.toml").read_text()
    assert text == document["toml"]
    shown = slimdeploy("boards.show", "--board", str(tmp_path / "mine.toml"), "--json").document
    assert (shown["name"], shown["target"], shown["init"]) == ("mine", TARGETS[board.machine], "busybox_init")
    plain = slimdeploy("boards.probe", *login)
    assert plain.code == 0 and "asked in 1 round trip" in plain.out and TARGETS[board.machine] in plain.out
