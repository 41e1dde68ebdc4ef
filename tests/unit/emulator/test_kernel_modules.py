"""Modules stand after what they need, whatever their .modinfo says of each other; the objects are made here by hand."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.emulator.kernel_modules import KernelModules
from deploy.errors import ImageFailed

Make = Callable[..., KernelModules]


def module(modinfo: bytes | None) -> bytes:
    """An ELF64 object of elf(5): its header, the sections' names, .modinfo, and the table of the sections."""
    names = b"\0.shstrtab\0.modinfo\0"
    body = modinfo or b""
    at_names, at_body = 64, 64 + len(names)
    table = at_body + len(body)
    sections = [struct.pack("<IIQQQQIIQQ", *(0,) * 10), section(1, 3, at_names, len(names))]
    if modinfo is not None:
        sections.append(section(11, 1, at_body, len(body)))
    header = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    header += struct.pack("<HHIQQQIHHHHHH", 1, 243, 1, 0, 0, table, 0, 64, 0, 0, 64, len(sections), 1)
    return header + names + body + b"".join(sections)


def section(name: int, kind: int, at: int, size: int) -> bytes:
    return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, at, size, 0, 0, 1, 0)


@pytest.fixture
def kernel(tmp_path: Path) -> Make:
    """Writes modules, each with its lines of .modinfo, as a package holds them."""

    def make(built_in: str = "", **modinfo: str) -> KernelModules:
        folder = tmp_path / "6.12.1-riscv64"
        for name, lines in modinfo.items():
            path = folder / "kernel/drivers" / f"{name}.ko"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(module(lines.replace("\n", "\0").encode() + b"\0"))
        folder.mkdir(exist_ok=True)
        if built_in:
            (folder / "modules.builtin").write_text(built_in)
        return KernelModules(folder)

    return make


def order(modules: KernelModules, *wanted: str) -> list[str]:
    return [path.name.partition(".ko")[0] for path in modules.load_order(wanted)]


def test_what_a_module_depends_on_comes_before_it(kernel: Make) -> None:
    made = kernel(
        ext4="license=GPL\ndepends=jbd2,mbcache\nname=ext4", jbd2="depends=", mbcache="depends=crc16", crc16=""
    )
    assert order(made, "ext4") == ["jbd2", "crc16", "mbcache", "ext4"]
    assert made.release == "6.12.1-riscv64"


def test_soft_dependencies_before_it_count_and_those_after_it_do_not(kernel: Make) -> None:
    made = kernel(a="softdep=pre: b c post: d", b="softdep=post: d pre: e", c="", d="", e="")
    assert order(made, "a") == ["e", "b", "c", "a"]


def test_what_is_wanted_twice_is_loaded_once(kernel: Make) -> None:
    assert order(kernel(a="depends=c", b="depends=c", c=""), "a", "b", "a", "c") == ["c", "a", "b"]


def test_hyphen_and_underscore_are_one_in_a_name(kernel: Make) -> None:
    made = kernel(**{"virtio-net": "depends=net_failover", "net-failover": "depends="})
    assert order(made, "virtio_net") == ["net-failover", "virtio-net"]
    assert order(made, "virtio-net") == ["net-failover", "virtio-net"]


def test_what_is_built_in_or_unknown_is_left_out(kernel: Make) -> None:
    made = kernel(built_in="kernel/fs/jbd2/jbd2.ko\nkernel/lib/crc-16.ko\n", ext4="depends=jbd2,crc_16,nowhere")
    assert order(made, "ext4", "jbd2", "unheard_of") == ["ext4"]


@pytest.mark.parametrize("line", ["depends={}", "softdep=pre: {}"])
def test_a_circle_comes_to_an_end_with_each_module_once(kernel: Make, line: str) -> None:
    made = kernel(a=line.format("b"), b=line.format("c"), c=line.format("a"), alone=line.format("alone"))
    assert order(made, "a", "alone") == ["c", "b", "a", "alone"]


def test_a_long_chain_is_in_order(kernel: Make) -> None:
    made = kernel(**{f"m{n}": f"depends=m{n + 1}" for n in range(60)}, m60="")
    assert order(made, "m0") == [f"m{n}" for n in range(60, -1, -1)]


def test_packed_modules_and_those_without_the_section_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "6.1"
    folder.mkdir()
    (folder / "a.ko.xz").write_bytes(lzma.compress(module(b"depends=b\0")))
    (folder / "b.ko").write_bytes(module(None))
    assert order(KernelModules(folder), "a") == ["b", "a"]


@pytest.mark.parametrize("name", ["bad.ko", "bad.ko.xz"])
def test_a_file_that_is_no_module_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not this")
    with pytest.raises(ImageFailed, match=r"bad\.ko.* is no kernel module"):
        KernelModules(tmp_path).load_order(["bad"])
