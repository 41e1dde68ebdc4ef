"""A module loses symbols that nothing refers to, and nothing else: what is left links, runs and relocates as before."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from deploy.emulator.module_symbols import without_unneeded

_SOURCE = r"""
extern int puts(const char *);
static int table[4] = {1, 2, 3, 4};
static int *held = &table[2];
static __attribute__((noinline)) int inner(int each) { return each * held[0]; }
int exported(int each) { return inner(each) + table[each & 3]; }
int main(void) { puts("it runs"); return exported(3) == 13 ? 0 : 1; }
__asm__(".pushsection .text\nnobody_refers_to_me: .byte 0\nnor_to_me: .byte 0\n.popsection\n");
"""

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed (apt-get install gcc)")


@pytest.fixture(params=["-m64", "-m32"])
def compiled(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An object file; -m32 needs no 32-bit library, because nothing is linked."""
    source, target = tmp_path / "module.c", tmp_path / "module.o"
    source.write_text(_SOURCE)
    command = ["gcc", request.param, "-O1", "-fno-inline", "-ffunction-sections", "-c", str(source), "-o", str(target)]
    made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if made.returncode != 0:
        pytest.skip(f"this gcc makes no object file with {request.param}: {made.stderr[:200]}")
    return target


def symbols(data: bytes) -> list[str]:
    table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    return [symbol.name for symbol in table.iter_symbols()]


def relocations(data: bytes) -> list[tuple[str, int, int, str, int]]:
    """Section, offset, type, and the symbol that is meant, by name or by the section that it stands for."""
    elf = ELFFile(io.BytesIO(data))
    table = elf.get_section_by_name(".symtab")
    found = []
    for section in elf.iter_sections():
        if section["sh_type"] not in ("SHT_RELA", "SHT_REL"):
            continue
        for each in section.iter_relocations():
            symbol = table.get_symbol(each["r_info_sym"])
            name = symbol.name or elf.get_section(symbol["st_shndx"]).name
            addend = each["r_addend"] if section["sh_type"] == "SHT_RELA" else 0
            found.append((section.name, each["r_offset"], each["r_info_type"], name, addend))
    return found


def contents(data: bytes) -> dict[str, bytes]:
    kept = (".symtab", ".strtab", ".rel", ".group")
    sections = ELFFile(io.BytesIO(data)).iter_sections()
    return {each.name: each.data() for each in sections if not each.name.startswith(kept)}


@needs_gcc
@pytest.mark.install_check
def test_what_is_referred_to_stays_and_what_nobody_wants_goes(compiled: Path) -> None:
    before = compiled.read_bytes()
    after = without_unneeded(before)
    assert len(after) < len(before)
    assert {"nobody_refers_to_me", "nor_to_me"} & set(symbols(before)) == {"nobody_refers_to_me", "nor_to_me"}
    assert not {"nobody_refers_to_me", "nor_to_me"} & set(symbols(after))
    assert {"exported", "main", "puts"} <= set(symbols(after))
    assert relocations(after) == relocations(before) != []
    assert contents(after) == contents(before)


@needs_gcc
@pytest.mark.install_check
def test_locals_stand_before_globals_as_the_format_wants_it(compiled: Path) -> None:
    table = ELFFile(io.BytesIO(without_unneeded(compiled.read_bytes()))).get_section_by_name(".symtab")
    local = [symbol["st_info"]["bind"] == "STB_LOCAL" for symbol in table.iter_symbols()]
    assert all(local[: table["sh_info"]]) and not any(local[table["sh_info"] :])


@needs_gcc
@pytest.mark.install_check
@pytest.mark.parametrize("compiled", ["-m64"], indirect=True)
def test_what_is_left_links_and_runs(compiled: Path, tmp_path: Path) -> None:
    compiled.write_bytes(without_unneeded(compiled.read_bytes()))
    program = tmp_path / "program"
    linked = subprocess.run(["gcc", str(compiled), "-o", str(program)], check=False, capture_output=True, timeout=60)
    assert linked.returncode == 0, linked.stderr
    ran = subprocess.run([str(program)], check=False, capture_output=True, timeout=10)
    assert (ran.returncode, ran.stdout) == (0, b"it runs\n")


@needs_gcc
@pytest.mark.install_check
def test_a_second_time_changes_nothing(compiled: Path) -> None:
    once = without_unneeded(compiled.read_bytes())
    assert without_unneeded(once) == once


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"no module", b"\x7fELF\x02\x02" + bytes(60)])
def test_what_is_no_such_file_comes_back_as_it_is(data: bytes) -> None:
    assert without_unneeded(data) == data


def test_a_program_comes_back_as_it_is() -> None:
    program = Path("/bin/sh").read_bytes()
    assert without_unneeded(program) == program
