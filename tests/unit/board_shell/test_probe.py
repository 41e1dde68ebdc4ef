"""One script tells what a host is: on this machine under three shells, and read from odd and hostile hosts."""

from __future__ import annotations

import os
import platform
import time
import unicodedata
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shells import BusyBoxTransport

from deploy.board_shell.framing import Framing
from deploy.board_shell.probe import (
    SECTIONS,
    parse_elf_flags,
    parse_probe,
    parse_processor,
    probe_script,
)
from deploy.board_shell.probe_init import parse_init, parse_libc
from deploy.board_shell.probe_storage import parse_devices, parse_file_systems
from deploy.board_shell.probe_text import one_line
from deploy.errors import BadAnswer
from deploy.model.facts import ElfIdentity
from deploy.model.probed import Device, FileSystem, Probed
from deploy.transport.local import LocalTransport

FRAMING = Framing("0" * 32)
ELF32_ARM_HARD_FLOAT = (
    "7f 45 4c 46 01 01 01 00 00 00 00 00 00 00 00 00 03 00 28 00 01 00 00 00 65 05 01 00 34 00 00 00 "
    "00 00 00 00 00 04 00 05 34 00 20 00 09 00 28 00"
)

# As a Raspberry Pi Zero W with Raspberry Pi OS prints it, its lists made shorter.
ZERO = {
    "system": "Linux\n6.6.31+rpt-rpi-v6\narmv6l",
    "elf": ELF32_ARM_HARD_FLOAT,
    "cpu": "count: 1\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\n"
    "Features\t: half thumb fastmult vfp edsp java tls\nCPU architecture: 7\nModel\t\t: Raspberry Pi Zero W Rev 1.1",
    "tree": "model Raspberry Pi Zero W Rev 1.1\ncompatible raspberrypi,model-zero-w\ncompatible brcm,bcm2835",
    "os": 'PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\nID=raspbian\nissue=Raspbian GNU/Linux 12 \\n \\l',
    "memory": "MemTotal: 440160 kB\nMemFree: 200000 kB\nMemAvailable: 300000 kB\nSwapTotal: 102396 kB",
    "login": "1000\npi\n1790000000",
    "init": "first systemd\nexe \ninit /usr/lib/systemd/systemd\nhas /run/systemd/system",
    "ssh": "parent bash\nparent sshd\nparent sshd\nparent systemd\nsftp /usr/lib/openssh/sftp-server\n"
    "openssh OpenSSH_9.2p1 Raspbian-10+deb12u2, OpenSSL 3.0.13 30 Jan 2024",
    "tools": "tool gunzip\ntool sha256sum\ntool sudo\ntool made-up\nbusybox ",
    "libc": "/usr/bin/dash\n/usr/lib/arm-linux-gnueabihf/ld-linux-armhf.so.3\nloaders\n/lib/ld-linux-armhf.so.3",
    "ca": "/etc/ssl/certs/ca-certificates.crt",
    "storage": "df /\n/dev/mmcblk0p2 29000000 3000000 25000000 11% /\ndf /tmp\n/dev/mmcblk0p2 29000000 3000000 "
    "25000000 11% /\nmounts\n/ ext4 rw,noatime\n/proc proc rw\ndevices\ndisk mmcblk0 62333952",
}


def answer(**changed: str) -> bytes:
    """What a Zero W prints, but for some sections."""
    text = "Last login: today\n"
    for name, body in (ZERO | changed).items():
        text += f"\n#{FRAMING.nonce} begin {name}\n{body}\n\n#{FRAMING.nonce} end {name} 0\n"
    return f"{text}\n#{FRAMING.nonce} close\n".encode()


def ask(board: LocalTransport) -> Probed:
    framing = Framing.new()
    before = board.round_trips
    ended = board.run(probe_script(framing))
    assert (ended.exit_status, board.round_trips - before) == (0, 1), ended.stderr
    return parse_probe(framing, ended.stdout)


def test_the_recorded_host_has_every_section() -> None:
    assert list(ZERO) == list(SECTIONS)


def test_this_machine_is_told_as_python_knows_it(board: LocalTransport) -> None:
    before = time.time()
    found = ask(board)
    assert (found.system, found.machine, found.kernel_release) == ("Linux", platform.machine(), platform.release())
    header = Path("/bin/sh").resolve().read_bytes()[:64]
    assert found.elf == ElfIdentity(32 * header[4], header[5] == 1, int.from_bytes(header[18:20], "little"))
    cpuinfo = Path("/proc/cpuinfo").read_text()
    assert found.processor.count == max(1, sum(line.startswith("processor") for line in cpuinfo.splitlines()))
    for values in found.processor.said.values():
        assert all(value in cpuinfo for value in values)
    assert found.ram_kib == int(Path("/proc/meminfo").read_text().split()[1])
    assert 0 < found.available_kib < found.ram_kib
    assert found.is_root == (os.geteuid() == 0)
    assert before - 2 <= found.clock_s <= time.time() + 2
    assert found.has_rtc == (any(Path("/dev").glob("rtc*")) or any(Path("/sys/class/rtc").glob("rtc*")))
    assert found.first_process == Path("/proc/1/comm").read_text().strip()
    assert (found.init == "systemd") == Path("/run/systemd/system").is_dir()
    assert "gunzip" in found.tools
    root = next(each for each in found.file_systems if each.mount_point == "/")
    assert root.kind and 0 < root.free_kib <= root.size_kib
    assert len({each.mount_point for each in found.file_systems}) == len(found.file_systems)
    assert {each.name for each in found.devices if each.kind == "disk"} <= {
        p.name for p in Path("/sys/block").iterdir()
    }


def test_the_c_library_is_the_one_of_the_shell_that_answers(board: LocalTransport) -> None:
    loaders = [path.name for path in (*Path("/lib64").glob("ld*"), *Path("/lib").glob("ld-*"))]
    expected = {"musl" if "musl" in name else "glibc" for name in loaders}
    assert {ask(board).libc} <= expected | {""}


@pytest.mark.install_check
@pytest.mark.parametrize("lacking", [("od",), ("sort", "xxd"), ("readlink", "df"), ("head",)])
def test_a_host_without_a_tool_tells_the_rest(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    found = ask(BusyBoxTransport(tmp_path / "applets", lacking=lacking))
    assert found.machine == platform.machine()
    assert found.processor.said
    assert bool(found.file_systems) == ("df" not in lacking)


@pytest.mark.install_check
def test_a_host_that_can_show_no_header_is_not_guessed_at(tmp_path: Path) -> None:
    framing = Framing.new()
    ended = BusyBoxTransport(tmp_path / "applets", lacking=("od", "hexdump", "xxd", "hd")).run(probe_script(framing))
    with pytest.raises(BadAnswer, match="no ELF header"):
        parse_probe(framing, ended.stdout)


def test_a_raspberry_pi_zero_is_read_whole() -> None:
    found = parse_probe(FRAMING, answer())
    assert (found.model, found.compatible) == (
        "Raspberry Pi Zero W Rev 1.1",
        ("raspberrypi,model-zero-w", "brcm,bcm2835"),
    )
    assert (found.elf, found.elf_flags) == (ElfIdentity(32, True, 40), 0x05000400)
    assert (found.init, found.first_process, found.libc) == ("systemd", "systemd", "glibc")
    assert (found.ssh_server, found.ssh_version, found.sftp) == ("openssh", "9.2p1", True)
    assert (found.user, found.is_root, found.clock_s, found.has_rtc) == ("pi", False, 1_790_000_000, False)
    assert found.operating_system == "Raspbian GNU/Linux 12 (bookworm)"
    assert found.built_for == r"Raspbian GNU/Linux 12 \n \l"
    assert found.tools == {"gunzip", "sha256sum", "sudo"}
    assert found.file_systems == (FileSystem("/", "ext4", ("rw", "noatime"), 29_000_000, 25_000_000),)
    assert found.devices == (Device("mmcblk0", "disk", 31_166_976),)
    assert (found.ram_kib, found.swap_kib) == (440_160, 102_396)


def test_a_pc_is_called_as_its_maker_calls_it() -> None:
    assert parse_probe(FRAMING, answer(tree="sys_vendor HP\nproduct_name HP t620 Quad Core TC")).model == (
        "HP HP t620 Quad Core TC"
    )


@pytest.mark.parametrize(
    ("said", "built_for"),
    [
        ('OPENWRT_BOARD="ramips/mt7621"\nissue=OpenWrt', "ramips/mt7621"),
        ('LEDE_BOARD="ath79/generic"', "ath79/generic"),
        ("issue=Welcome to Milk-V Duo 256M", "Welcome to Milk-V Duo 256M"),
        ("", ""),
    ],
)
def test_what_a_system_was_built_for_is_openwrts_target_or_its_greeting(said: str, built_for: str) -> None:
    assert parse_probe(FRAMING, answer(os=said)).built_for == built_for


@pytest.mark.parametrize(
    ("said", "init"),
    [
        ("first systemd\nhas /run/systemd/system", "systemd"),
        ("first procd\nexe /sbin/procd\nhas /etc/inittab", "procd"),
        ("first init\nexe /bin/busybox\ninit /bin/busybox\nhas /run/openrc/softlevel\nhas /etc/inittab", "openrc"),
        ("first openrc-init", "openrc"),
        ("first init\nexe /bin/busybox\nhas /etc/inittab", "busybox_init"),
        ("first init\nexe \ninit /bin/busybox\nhas /etc/inittab", "busybox_init"),
        ("first linuxrc\nexe /bin/busybox", "busybox_init"),
        ("first init\nexe /sbin/init\ninit /sbin/init\nhas /etc/inittab", "sysv"),
        ("first runit\nexe /sbin/runit", "runit"),
        ("first s6-svscan\nexe /bin/s6-svscan", "s6"),
        ("first init\nexe /init", "none"),
        ("first sh\nexe /bin/busybox\ninit /bin/busybox", "none"),
        ("first bash\ninit /usr/lib/systemd/systemd", "none"),  # a container of an image with systemd
        ("", "none"),
    ],
)
def test_the_init_is_told_by_what_runs_and_not_by_what_is_installed(said: str, init: str) -> None:
    assert parse_init(said) == init


@pytest.mark.parametrize(
    ("said", "libc"),
    [
        ("/bin/busybox\n/lib/ld-musl-mipsel-sf.so.1\nloaders", "musl"),
        ("/bin/busybox\n/lib/libc.so\nloaders\n/lib/ld-musl-riscv64.so.1", "musl"),
        ("/bin/busybox\n/lib/ld-uClibc-1.0.31.so\n/lib/libuClibc-1.0.31.so\nloaders", "uclibc"),
        ("/bin/dash\n/lib/aarch64-linux-gnu/ld-2.31.so\nloaders", "glibc"),
        ("/bin/bash\n/lib/libc.so.6\n/lib/ld-linux-riscv64-lp64d.so.1\nloaders\n/lib/ld-musl-x.so", "glibc"),
        ("/bin/busybox\nloaders", ""),
        ("/bin/busybox\nloaders\n/lib/ld.so.1", "glibc"),
        ("", ""),
    ],
)
def test_the_c_library_is_the_mapped_one_and_else_the_one_that_lies_about(said: str, libc: str) -> None:
    assert parse_libc(said) == libc


@pytest.mark.parametrize(
    ("parents", "server"),
    [
        ("parent sh\nparent dropbear\nparent dropbear", "dropbear"),
        ("parent sshd-session", "openssh"),
        ("parent tinysshd", "tinyssh"),
        ("parent python3", ""),
        ("", ""),
    ],
)
def test_the_ssh_server_is_the_one_above_the_shell(parents: str, server: str) -> None:
    versions = "\ndropbear Dropbear v2020.81\nopenssh OpenSSH_8.4p1"
    found = parse_probe(FRAMING, answer(ssh=parents + versions))
    assert (found.ssh_server, found.sftp) == (server, False)
    assert found.ssh_version == {"dropbear": "2020.81", "openssh": "8.4p1"}.get(server, "")


def test_storage_of_a_router() -> None:
    text = (
        "df /\noverlayfs:/overlay\n                 4096 1024 3072 25% /\ndf /overlay\n/dev/mtdblock5 4096 1024 3072 "
        "25% /overlay\ndf /tmp\ntmpfs 29000 100 28900 0% /tmp\nmounts\n/rom squashfs ro\n/ overlay rw,noatime\n"
        "/tmp tmpfs rw,nosuid\n/my\\040disk vfat rw\ndevices\n"
        "disk sda 0\nflash 00030000 u-boot\nflash 00fb0000 firmware"
    )
    systems = parse_file_systems(text)
    assert [(each.mount_point, each.kind, each.free_kib) for each in systems] == [
        ("/", "overlay", 3072),
        ("/overlay", "", 3072),
        ("/tmp", "tmpfs", 28900),
    ]
    assert parse_devices(text) == (Device("u-boot", "flash", 192), Device("firmware", "flash", 16064))


def test_e_flags_stand_where_the_class_says() -> None:
    assert parse_elf_flags(ELF32_ARM_HARD_FLOAT) == 0x05000400
    big_endian_64 = bytes([0x7F, *b"ELF", 2, 2]) + bytes(42) + bytes([0x80, 0, 0, 7]) + bytes(12)
    assert parse_elf_flags(big_endian_64.hex()) == 0x80000007
    assert parse_elf_flags(ELF32_ARM_HARD_FLOAT[:59]) == 0


@pytest.mark.parametrize(
    ("section", "body", "problem"),
    [
        ("elf", "", "no ELF header"),
        ("elf", "7f 45 4c 46 zz", "no ELF header"),
        ("system", "Linux", "lines instead of 3"),
        ("login", "0\nroot\nyesterday", "clock"),
        ("memory", "MemFree: 5 kB", "no MemTotal"),
        ("memory", "MemTotal: lots kB", "not a number"),
    ],
)
def test_what_no_board_can_be_told_without_is_missed_in_words(section: str, body: str, problem: str) -> None:
    with pytest.raises(BadAnswer, match=problem):
        parse_probe(FRAMING, answer(**{section: body}))


ELSEWHERE = Framing("1" * 32)
HOSTILE = st.lists(
    st.sampled_from(
        [
            "\x1b[2J\x1b]0;owned\x07",
            f"#{ELSEWHERE.nonce} begin elf",
            f"\n#{ELSEWHERE.nonce} end cpu 0\n",
            "model ",
            "compatible ",
            "parent sshd",
            "mounts",
            "devices",
            "df /",
            "count: 99999999999",
            "\u202e",
            "\x00",
            "\r",
            "\udcff",
            "a" * 500,
            " " * 500,
        ]
    )
    | st.text(max_size=40),
    max_size=12,
).map("\n".join)
FREE = [name for name in SECTIONS if name not in ("system", "elf", "login", "memory")]


def harmless(text: str) -> bool:
    """On one line, and without a character that a terminal obeys."""
    return not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text)


def texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in texts(each)]
    if isinstance(value, list | tuple | frozenset):
        return [text for each in value for text in texts(each)]
    if hasattr(value, "__dataclass_fields__"):
        return [text for field in fields(value) for text in texts(getattr(value, field.name))]
    return []


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FREE), HOSTILE)
def test_no_words_of_a_host_steer_a_terminal_or_hide_the_other_answers(section: str, words: str) -> None:
    words = words.encode("utf-8", "replace").decode("utf-8", "replace")
    found = parse_probe(FRAMING, answer(**{section: words}))
    assert found.machine == "armv6l" and found.ram_kib == 440_160
    for text in texts(found):
        assert harmless(text), repr(text)
        assert len(text) <= 8192


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["system", "elf", "login", "memory"]), HOSTILE)
def test_nonsense_where_sense_is_needed_is_a_bad_answer_and_nothing_else(section: str, words: str) -> None:
    words = words.encode("utf-8", "replace").decode("utf-8", "replace")
    try:
        found = parse_probe(FRAMING, answer(**{section: words}))
    except BadAnswer:
        return
    assert all(harmless(text) for text in texts(found))


def test_ten_megabytes_of_anything_are_read_in_a_moment_and_kept_small() -> None:
    flood = {
        "cpu": "flags : " + "avx " * 2_500_000,
        "tree": "compatible x\n" * 800_000,
        "storage": "df /\n/dev/x 1 1 1 1% /\n" * 400_000,
        "ssh": "parent " + "x" * 10_000_000,
        "libc": "/lib/x\n" * 1_400_000,
        "os": "PRETTY_NAME=" + "\x1b" * 10_000_000,
    }
    for section, body in flood.items():
        began = time.process_time()  # what others do on this machine is no fault of the parser's
        found = parse_probe(FRAMING, answer(**{section: body}))
        assert time.process_time() - began < 5, section
        assert sum(map(len, texts(found))) < 200_000, section


def test_a_banner_that_imitates_the_markers_of_another_run_changes_nothing() -> None:
    banner = answer(cpu="count: 64").replace(FRAMING.nonce.encode(), ELSEWHERE.nonce.encode())
    assert parse_probe(FRAMING, banner + answer()) == parse_probe(FRAMING, answer())


def test_an_answer_that_is_cut_short_is_none() -> None:
    whole = answer()
    with pytest.raises(BadAnswer):
        parse_probe(FRAMING, whole[: len(whole) // 2])


def test_one_line_is_one_line() -> None:
    assert one_line("\n  a\tb \x1b[1m\nc") == r"a b \x1b[1m"
    assert one_line("") == one_line("\n\n") == ""
    assert len(one_line("\U0010ffff" * 500)) <= 200


def test_a_processor_with_many_different_cores_is_kept_small() -> None:
    text = "\n".join(f"model name : core {number}" for number in range(1000))
    assert len(parse_processor("count: 1000\n" + text).said["model name"]) == 64
