"""Which board a host is taken for: by the most specific evidence, and never one whose binaries it can't run."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes import probed

from deploy import board_toml, catalogue
from deploy.board_shell.probe import parse_processor
from deploy.errors import Refused
from deploy.model.board import Board
from deploy.model.facts import ElfIdentity
from deploy.model.limits import Limits
from deploy.model.target import Target
from deploy.processor import choose, runs
from deploy.recognising import differences, made_board, recognise

ZERO = Board("zero", "A Zero", Target("arm", "6"), 512 * 1024, compatible=("raspberrypi,model-zero-w",))
ROUTER = Board("router", "Any of its kind", Target("mipsle", "softfloat"), 65536, compatible=("mediatek,mt7621-soc",))
OWN_ROUTER = replace(ROUTER, name="own-router", compatible=("maker,router-3",))
CLIENT = Board("client", "A PC", Target("amd64"), 2048 * 1024, models=("HP t620",))
BOARDS = (ZERO, ROUTER, OWN_ROUTER, CLIENT)

ARM, MIPSLE, AMD64 = ElfIdentity(32, True, 40), ElfIdentity(32, True, 8), ElfIdentity(64, True, 62)
V6 = parse_processor("model name : ARMv6-compatible processor rev 7 (v6l)\nFeatures : half vfp\nCPU architecture: 7")
ON_ZERO: dict[str, Any] = {
    "elf": ARM,
    "machine": "armv6l",
    "processor": V6,
    "model": "Raspberry Pi Zero W Rev 1.1",
    "compatible": ("raspberrypi,model-zero-w", "brcm,bcm2835"),
}


def test_a_host_is_the_board_that_its_device_tree_names() -> None:
    found = recognise(probed(**ON_ZERO), BOARDS)
    assert (found.board, found.known) == (ZERO, True)
    assert "'raspberrypi,model-zero-w'" in found.why


def test_the_most_specific_name_wins() -> None:
    routers = ("maker,router-3", "mediatek,mt7621-soc")
    assert recognise(probed(elf=MIPSLE, compatible=routers), BOARDS).board == OWN_ROUTER
    assert recognise(probed(elf=MIPSLE, compatible=("maker,router-4", *routers[1:])), BOARDS).board == ROUTER


def test_where_the_hardware_says_too_little_the_system_says_what_it_was_built_for() -> None:
    routers = replace(ROUTER, systems=("ramips/mt7621", "ath79"))
    board = recognise(probed(elf=MIPSLE, compatible=("maker,router-5",), built_for="ramips/mt7621"), (routers,))
    assert board.board == routers and "'ramips/mt7621'" in board.why
    assert recognise(probed(elf=MIPSLE, built_for="ath79/nand"), (routers,)).known
    assert not recognise(probed(elf=MIPSLE, built_for="ramips/mt76x8"), (routers,)).known
    by_both = probed(elf=MIPSLE, compatible=("maker,router-3",), built_for="ath79/nand")
    assert recognise(by_both, (routers, OWN_ROUTER)).board == OWN_ROUTER


def test_a_pc_is_told_by_its_makers_name_of_it_whole_words_only() -> None:
    assert recognise(probed(elf=AMD64, model="HP t620"), BOARDS).board == CLIENT
    assert recognise(probed(elf=AMD64, model="HP t620 Rev 2"), BOARDS).board == CLIENT
    assert not recognise(probed(elf=AMD64, model="HP t6200"), BOARDS).known
    assert not recognise(probed(elf=AMD64, model="HP t620 Plus"), BOARDS).known


def test_a_board_whose_binaries_would_not_run_is_never_taken_whatever_the_device_tree_says() -> None:
    liar = replace(ZERO, name="liar", target=Target("arm", "7"))
    found = recognise(probed(**ON_ZERO), (liar,), today="2026-10-14")
    assert (found.known, found.board.name, found.board.target) == (False, "liar-arm-6", Target("arm", "6"))
    assert found.board.compatible == liar.compatible
    assert "liar is built for linux/arm/7" in found.why and "ARMv6" in found.why
    assert found.board.sources[0] == "what the host said of itself on 2026-10-14 (invoke boards.probe)"
    again = recognise(probed(**ON_ZERO), (liar, found.board))
    assert (again.known, again.board) == (True, found.board)


def test_a_32_bit_system_on_a_64_bit_board_is_a_board_of_its_own() -> None:
    zero2 = Board("zero-2", "A Zero 2", Target("arm64"), 524288, compatible=("raspberrypi,model-zero-2-w",))
    cpu = parse_processor("Features : half thumb vfp neon vfpv3\nCPU architecture: 8")
    host = probed(elf=ARM, machine="aarch64", processor=cpu, compatible=zero2.compatible, init="systemd", sftp=True)
    made = recognise(host, (zero2,)).board
    assert (made.name, made.target, made.init, made.sftp) == ("zero-2-arm-7", Target("arm", "7"), "systemd", True)


def test_the_loopback_board_is_nobody_elses() -> None:
    local = replace(CLIENT, name="local", connection="loopback")
    assert not recognise(probed(elf=AMD64, model="HP t620"), (local,)).known


def test_a_host_that_is_none_gets_a_board_with_what_it_said_and_nothing_else() -> None:
    host = probed(model="Maker Board Two", compatible=("maker,board-two", "chip,x"), user="admin", is_root=False)
    found = recognise(host, BOARDS, today="2026-10-14")
    assert not found.known and "'maker,board-two', 'chip,x'" in found.why
    board = found.board
    assert (board.name, board.title, board.compatible) == (
        "maker-board-two",
        "Maker Board Two, riscv64",
        ("maker,board-two",),
    )
    assert (board.user, board.prefix, board.ram_kib) == ("admin", "~/.picoclaw", 56 * 1024)
    assert (board.init, board.libc, board.ssh_server, board.sftp) == ("busybox_init", "musl", "dropbear", False)
    assert recognise(host, (*BOARDS, board)).known


@pytest.mark.parametrize("compatible", [("riscv-virtio", "qemu"), ("linux,dummy-virt",), ()])
def test_an_emulator_is_no_evidence_of_a_board(compatible: tuple[str, ...]) -> None:
    model = f"{compatible[0]},qemu" if compatible else ""
    host = probed(compatible=compatible, model=model)
    first = recognise(host, BOARDS)
    assert (first.board.name, first.board.compatible, first.board.models) == ("some-riscv64", (), ())
    assert "says nothing of a board" in first.why
    again = recognise(host, (*BOARDS, first.board))
    assert (again.board.name, again.known) == ("some-riscv64", True)
    other = recognise(probed(compatible=compatible, model=model, ram_kib=128 * 1024), (*BOARDS, first.board))
    assert (other.board.name, other.known) == ("some-riscv64-2", False)


def test_what_differs_is_told_and_changes_no_board() -> None:
    known = replace(
        ZERO,
        target=Target("riscv64"),
        ram_kib=1024,
        init="openrc",
        libc="glibc",
        ssh_server="openssh",
        compatible=("x",),
    )
    host = probed(compatible=("x",))
    found = recognise(host, (known,))
    assert found.board == known
    told = "; ".join(found.differences)
    for part in ("busybox_init, not openrc", "dropbear, not openssh", "no SFTP", "musl, not glibc", "56 MiB of RAM"):
        assert part in told
    assert differences(host, made_board(host, choose(host))) == ()


def test_a_processor_that_nothing_is_built_for_is_refused() -> None:
    with pytest.raises(Refused):
        recognise(probed(elf=ElfIdentity(64, False, 22)), BOARDS, "root@host")


A53 = "Features : fp asimd evtstrm crc32 cpuid\nCPU architecture: 8"
A7 = "model name : ARMv7 Processor rev 5 (v7l)\nFeatures : half thumb vfp neon vfpv3 vfpv4\nCPU architecture: 7"
C906 = "isa : rv64imafdvcsu"
LITTLE, BIG = ElfIdentity(32, True, 8), ElfIdentity(32, False, 8)
ARM64, RISCV64, LOONG64 = ElfIdentity(64, True, 183), ElfIdentity(64, True, 243), ElfIdentity(64, True, 258)

# What these boards' device trees say (Linux, OpenWrt, the vendors' kernels), and else their systems.
REAL: list[tuple[str, ElfIdentity, str, str, str, dict[str, Any]]] = [
    ("licheerv", RISCV64, "riscv64", C906, "", {"compatible": ("sipeed,lichee-rv-dock", "sipeed,lichee-rv")}),
    ("licheerv-nano", RISCV64, "riscv64", C906, "LicheeRv Nano", {"compatible": ("cvitek,cv181x",)}),
    ("milkv-duo", RISCV64, "riscv64", C906, "", {"built_for": "Welcome to Milk-V Duo"}),
    ("milkv-duo-256m", RISCV64, "riscv64", C906, "", {"built_for": "Welcome to Milk-V Duo 256M"}),
    ("milkv-duo-s-arm64", ARM64, "aarch64", A53, "Milk-V Duo S", {"compatible": ("milkv,duo-s", "sophgo,sg2000")}),
    (
        "visionfive2",
        RISCV64,
        "riscv64",
        "isa : rv64imafdc_zicntr_zicsr_zifencei_zihpm_zba_zbb",
        "StarFive VisionFive 2 v1.3B",
        {"compatible": ("starfive,visionfive-2-v1.3b", "starfive,jh7110")},
    ),
    ("rpi-zero", ARM, "armv6l", "", "", ON_ZERO),
    (
        "rpi-zero-2w",
        ARM64,
        "aarch64",
        A53,
        "Raspberry Pi Zero 2 W Rev 1.0",
        {"compatible": ("raspberrypi,model-zero-2-w", "brcm,bcm2837")},
    ),
    ("rpi-3-arm-7", ARM, "aarch64", A53, "", {"compatible": ("raspberrypi,3-model-b-plus", "brcm,bcm2837")}),
    ("rpi-4", ARM64, "aarch64", A53, "", {"compatible": ("raspberrypi,4-model-b", "brcm,bcm2711")}),
    ("rpi-5", ARM64, "aarch64", A53, "", {"compatible": ("raspberrypi,5-model-b", "brcm,bcm2712")}),
    (
        "luckfox-pico",
        ARM,
        "armv7l",
        A7,
        "Luckfox Pico",
        {"compatible": ("rockchip,rv1103g-38x38-ipc-v10", "rockchip,rv1103")},
    ),
    (
        "luckfox-pico-max",
        ARM,
        "armv7l",
        A7,
        "Luckfox Pico Max",
        {"compatible": ("rockchip,rv1103g-38x38-ipc-v10", "rockchip,rv1106")},
    ),
    (
        "beaglebone-black",
        ARM,
        "armv7l",
        A7,
        "TI AM335x BeagleBone Black",
        {"compatible": ("ti,am335x-bone-black", "ti,am335x-bone", "ti,am33xx")},
    ),
    (
        "openwrt-mt7621",
        LITTLE,
        "mips",
        "cpu model : MIPS 1004Kc V2.15",
        "Xiaomi Mi Router 3G v2",
        {"compatible": ("xiaomi,mir3g-v2", "mediatek,mt7621-soc"), "built_for": "ramips/mt7621"},
    ),
    (
        "openwrt-ath79",
        BIG,
        "mips",
        "cpu model : MIPS 74Kc V5.0",
        "TP-Link Archer C7 v2",
        {"compatible": ("tplink,archer-c7-v2", "qca,qca9558"), "built_for": "ath79/generic"},
    ),
    (
        "openwrt-ipq40xx",
        ARM,
        "armv7l",
        A7,
        "GL.iNet GL-B1300",
        {"compatible": ("glinet,gl-b1300",), "built_for": "ipq40xx/generic"},
    ),
    (
        "openwrt-filogic",
        ARM64,
        "aarch64",
        A53,
        "GL.iNet GL-MT3000",
        {"compatible": ("glinet,gl-mt3000", "mediatek,mt7981")},
    ),
    (
        "orangepi-zero3",
        ARM64,
        "aarch64",
        A53,
        "OrangePi Zero3",
        {"compatible": ("xunlong,orangepi-zero3", "allwinner,sun50i-h618")},
    ),
    (
        "loongson-2k0300",
        LOONG64,
        "loongarch64",
        "",
        "Loongson-2K0300 Reference Board",
        {"compatible": ("loongson,ls2k0300-ref", "loongson,ls2k0300")},
    ),
    ("wyse-3040", AMD64, "x86_64", "flags : fpu sse sse2", "Dell Inc. Wyse 3040 Thin Client", {}),
]


@pytest.mark.parametrize(("name", "elf", "machine", "cpu", "model", "more"), REAL, ids=[each[0] for each in REAL])
def test_the_boards_of_the_catalogue_are_told_by_what_they_say(
    name: str, elf: ElfIdentity, machine: str, cpu: str, model: str, more: dict[str, Any]
) -> None:
    said = {"elf": elf, "machine": machine, "processor": parse_processor(cpu), "model": model} | more
    found = recognise(probed(**said), catalogue.boards())
    assert found.board.name == name
    assert runs(found.board.target, found.choice.target)
    assert found.known is (name in {board.name for board in catalogue.boards()})


def test_no_two_bundled_boards_claim_the_same_host() -> None:
    names = [name for board in catalogue.boards() for name in (*board.compatible, *board.models, *board.systems)]
    assert len(names) == len(set(names))


WORDS = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), max_size=60)


@settings(max_examples=200, deadline=None)
@given(
    model=WORDS,
    compatible=st.lists(WORDS.filter(bool), max_size=3).map(tuple),
    user=WORDS,
    system=WORDS,
    elf=st.sampled_from([ARM, MIPSLE, AMD64, ElfIdentity(64, True, 243)]),
    ram_kib=st.integers(1, 2**30),
    is_root=st.booleans(),
)
def test_whatever_a_host_says_the_board_made_of_it_can_be_written_and_read_back(
    model: str, compatible: tuple[str, ...], user: str, system: str, elf: ElfIdentity, ram_kib: int, is_root: bool
) -> None:
    host = probed(
        model=model.strip(),
        compatible=tuple(each.strip() for each in compatible if each.strip()),
        user=user,
        operating_system=system.strip(),
        elf=elf,
        ram_kib=ram_kib,
        is_root=is_root,
    )
    found = recognise(host, BOARDS, today="2026-10-14")
    assert runs(found.board.target, found.choice.target)
    text = board_toml.render(found.board)
    faults: list[str] = []
    assert catalogue.parse(found.board.name, tomllib.loads(text), faults) == found.board, faults


def test_every_bundled_board_can_be_written_and_read_back() -> None:
    for board in catalogue.boards():
        faults: list[str] = []
        assert catalogue.parse(board.name, tomllib.loads(board_toml.render(board)), faults) == board, faults


def test_limits_and_sizes_are_written_as_people_would() -> None:
    board = replace(ZERO, limits=Limits(6 * 1024**2, 50, 2, 16 * 1024**2), ram_kib=1000, visible_ram_kib=900)
    text = board_toml.render(board)
    assert 'gomemlimit = "6MiB"\ngogc = 50\ngomaxprocs = 2\nhard = "16MiB"\n' in text
    assert 'size = "1000KiB"\nvisible = "900KiB"\n' in text
    assert catalogue.parse("zero", tomllib.loads(text), []) == board
