"""ELF headers read back from binaries that Go really built, and from files that are none."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.build import build
from deploy.elf import Elf, fault, go_settings, read_back, read_elf
from deploy.errors import BuildFailed
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.toolchain import Toolchain

RISCV = Elf("EM_RISCV", 64, True, True, "", None, {"GOOS": "linux", "GOARCH": "riscv64", "GORISCV64": "rva20u64"})
MIPS = Elf("EM_MIPS", 32, True, True, "", True, {"GOOS": "linux", "GOARCH": "mipsle", "GOMIPS": "softfloat"})
ARM = Elf("EM_ARM", 32, True, True, "", None, {"GOOS": "linux", "GOARCH": "arm", "GOARM": "6"})


@pytest.mark.parametrize(
    ("target", "header"),
    [
        (Target("riscv64"), "ELF 64-bit LSB EM_RISCV, static, GORISCV64=rva20u64"),
        (Target("arm", "6"), "ELF 32-bit LSB EM_ARM, static, GOARM=6"),
        (Target("mipsle", "softfloat"), "ELF 32-bit LSB EM_MIPS, static, soft float, GOMIPS=softfloat"),
    ],
    ids=str,
)
def test_a_cross_build_s_header_is_its_target_s(target: Target, header: str, go: Toolchain, tiny: Source) -> None:
    artifact = build(tiny, target, "1", go)
    assert artifact.elf == header
    elf = read_elf(artifact.path)
    assert fault(elf, target) is None
    # The bytes of e_machine, by elf(5), say the same without pyelftools.
    order = "<" if elf.little_endian else ">"
    (machine,) = struct.unpack_from(order + "H", artifact.path.read_bytes(), 18)
    assert machine == {"EM_RISCV": 243, "EM_ARM": 40, "EM_MIPS": 8}[elf.machine]
    other = Target("arm", "7") if target.goarch != "arm" else Target("arm", "5")
    with pytest.raises(BuildFailed, match="is not for linux/arm/"):
        read_back(artifact.path, other)


@pytest.mark.parametrize(
    ("elf", "target", "why"),
    [
        (RISCV, Target("amd64"), "ELF 64-bit LSB EM_X86_64"),
        (MIPS, Target("mips", "softfloat"), "ELF 32-bit MSB EM_MIPS"),
        (MIPS, Target("mipsle", "hardfloat"), "GOMIPS=softfloat, not hardfloat"),
        (replace(MIPS, soft_float=False), Target("mipsle", "softfloat"), "floating point in hardware"),
        (ARM, Target("arm", "7"), "GOARM=6, not 7"),
        (replace(ARM, go_settings={"GOARM": "6,softfloat"}), Target("arm", "6"), "GOARM=6,softfloat, not 6"),
        (replace(ARM, go_settings={}), Target("arm", "6"), "does not tell the GOARM"),
        (replace(RISCV, interpreter="/lib/ld-musl-riscv64.so.1"), Target("riscv64"), "not static"),
        (replace(RISCV, executable=False), Target("riscv64"), "not a program"),
        (replace(RISCV, go_settings={"GOOS": "freebsd"}), Target("riscv64"), "built for freebsd"),
        (RISCV, Target("s390x"), "does not know"),
    ],
)
def test_a_binary_for_something_else_is_refused_with_the_difference(elf: Elf, target: Target, why: str) -> None:
    assert why in (fault(elf, target) or "")


@pytest.mark.parametrize(
    ("elf", "target"),
    [
        (RISCV, Target("riscv64")),
        (MIPS, Target("mipsle", "softfloat")),
        (ARM, Target("arm", "6")),
        (replace(ARM, go_settings={"GOARM": "6,hardfloat"}), Target("arm", "6")),
    ],
)
def test_what_fits_is_taken(elf: Elf, target: Target) -> None:
    assert fault(elf, target) is None


def test_a_dynamically_linked_program_is_seen_as_one() -> None:
    elf = read_elf(Path(sys.executable).resolve())
    if not elf.interpreter:
        pytest.skip("this Python is linked statically; any dynamically linked program would do")
    assert f"needs {elf.interpreter}" in str(elf)
    assert elf.go_settings == {}


@pytest.mark.parametrize("length", [0, 3, 4, 5, 16, 20, 63, 64, 100])
def test_a_file_that_ends_too_early_is_no_elf_file(length: int, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(Path(sys.executable).resolve().read_bytes()[:length])
    with pytest.raises(BuildFailed, match="cut is not a whole ELF file"):
        read_elf(path)


def test_a_script_is_no_elf_file(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n" * 100)
    with pytest.raises(BuildFailed):
        read_elf(tmp_path / "script")


@pytest.mark.parametrize(
    "section",
    [b"", b"\xff Go buildinf:", b"\xff Go buildinf:\x08\x00" + bytes(60), b"\xff Go buildinf:\x08\x02" + b"\xff" * 60],
    ids=["empty", "magic only", "pointers, as before Go 1.18", "lengths without end"],
)
def test_build_info_of_another_form_tells_nothing(section: bytes) -> None:
    assert go_settings(section) == {}
