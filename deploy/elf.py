"""Knows how to read back what a built binary is for, and to hold it against a target; building it is others' work.

Two witnesses are heard: the ELF header (elf(5)), and the settings that the Go linker writes into `.go.buildinfo` (Go's
package debug/buildinfo), the only place that tells GOARM, GORISCV64 and GOAMD64 apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.errors import BuildFailed
from deploy.model.target import ELF_OF_GOARCH, VARIANT_OF_GOARCH, Target

_BUILD_INFO_MAGIC = b"\xff Go buildinf:"
_BUILD_INFO_HEADER = 32
_INLINE_STRINGS = 2
"""The bit of the flags byte that says: two length-prefixed strings follow the header (Go 1.18 and later)."""
_MODULE_INFO_MARK = 16
"""The second string has this many bytes of mark before and behind it (runtime/debug, modinfo)."""

_MIPS_SOFT_FLOAT = 3
"""Val_GNU_MIPS_ABI_FP_SOFT; it stands in byte 7 of .MIPS.abiflags (binutils, include/elf/mips.h)."""

_ARM_FLOAT = {"5": "5,softfloat", "6": "6,hardfloat", "7": "7,hardfloat"}
"""What a GOARM means that says nothing of floating point (`go help environment`)."""


@dataclass(frozen=True, slots=True)
class Elf:
    """What a binary says of itself."""

    machine: str
    """e_machine, as pyelftools names it: "EM_RISCV"."""
    bits: int
    little_endian: bool
    executable: bool
    """ET_EXEC or ET_DYN, and not a library's or an object's type."""
    interpreter: str
    """The dynamic loader it asks for (PT_INTERP), "" where it is static."""
    soft_float: bool | None
    """By .MIPS.abiflags; None on other machines, whose Go binaries carry no such flag."""
    go_settings: dict[str, str]
    """What .go.buildinfo says: GOARCH, GOARM, CGO_ENABLED, …; empty in what Go did not build."""

    def __str__(self) -> str:
        """In one line: "ELF 64-bit LSB EM_RISCV, static"."""
        order = "LSB" if self.little_endian else "MSB"
        words = [f"ELF {self.bits}-bit {order} {self.machine}"]
        words.append(f"needs {self.interpreter}" if self.interpreter else "static")
        if self.soft_float is not None:
            words.append("soft float" if self.soft_float else "hard float")
        name = VARIANT_OF_GOARCH.get(self.go_settings.get("GOARCH", ""), "")
        if name in self.go_settings:
            words.append(f"{name}={self.go_settings[name]}")
        return ", ".join(words)


def read_elf(path: Path) -> Elf:
    """The header and Go's settings of the binary at `path`. Raises BuildFailed where it is no whole ELF file."""
    # Imported here: reading it costs 60 ms, which a command that builds nothing shall not pay.
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            header = elf.header
            interpreters = [part.get_interp_name() for part in elf.iter_segments() if isinstance(part, InterpSegment)]
            return Elf(
                machine=str(header.e_machine),
                bits=int(elf.elfclass),
                little_endian=bool(elf.little_endian),
                executable=header.e_type in ("ET_EXEC", "ET_DYN"),
                interpreter=str(interpreters[0]) if interpreters else "",
                soft_float=_soft_float(_section(elf, ".MIPS.abiflags")),
                go_settings=go_settings(_section(elf, ".go.buildinfo")),
            )
    except (ELFError, UnicodeDecodeError, ValueError, KeyError, AttributeError, IndexError) as error:
        # pyelftools raises what it stumbles over where a file ends too early.
        raise BuildFailed(f"{path.name} is not a whole ELF file", str(error)) from None


def _section(elf: Any, name: str) -> bytes:
    section = elf.get_section_by_name(name)
    return bytes(section.data()) if section is not None else b""


def _soft_float(abi_flags: bytes) -> bool | None:
    return abi_flags[7] == _MIPS_SOFT_FLOAT if len(abi_flags) > 7 else None


def go_settings(section: bytes) -> dict[str, str]:
    """The `build` lines of a .go.buildinfo section, name to value; empty where it is not one, or of Go before 1.18."""
    if not section.startswith(_BUILD_INFO_MAGIC) or len(section) <= _BUILD_INFO_HEADER:
        return {}
    if not section[len(_BUILD_INFO_MAGIC) + 1] & _INLINE_STRINGS:
        return {}
    _, rest = _string(section[_BUILD_INFO_HEADER:])
    information, _ = _string(rest)
    text = information[_MODULE_INFO_MARK:-_MODULE_INFO_MARK].decode("utf-8", "replace")
    rows = [line.removeprefix("build\t").partition("=") for line in text.splitlines() if line.startswith("build\t")]
    return {name: value for name, _, value in rows}


def _string(data: bytes) -> tuple[bytes, bytes]:
    """One length-prefixed string and what follows it; the length is a varint as in Go's encoding/binary."""
    length = shift = 0
    for index, byte in enumerate(data):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            start = index + 1
            return data[start : start + length], data[start + length :]
    return b"", b""


def fault(elf: Elf, target: Target) -> str | None:
    """Why a binary like this is not one for `target`, or None."""
    if target.goarch not in ELF_OF_GOARCH:
        return f"slimdeploy does not know which ELF header {target} has"
    machine, bits, little_endian = ELF_OF_GOARCH[target.goarch]
    if (elf.machine, elf.bits, elf.little_endian) != (machine, bits, little_endian):
        order = "LSB" if little_endian else "MSB"
        return f"it is {elf}, and {target} is ELF {bits}-bit {order} {machine}"
    if not elf.executable:
        return "it is not a program; is the package a main package?"
    if elf.interpreter:
        return f"it is not static: it asks for {elf.interpreter}, which a small board rarely has"
    told = elf.go_settings
    if (goos := told.get("GOOS", target.goos)) != target.goos:
        return f"it was built for {goos}, not for {target.goos}"
    return _variant_fault(elf, target)


def _variant_fault(elf: Elf, target: Target) -> str | None:
    if not target.variant:
        return None
    name = VARIANT_OF_GOARCH.get(target.goarch, "")
    told = elf.go_settings.get(name)
    if told is None:
        return f"it does not tell the {name} that it was built with"
    if _ARM_FLOAT.get(told, told) != _ARM_FLOAT.get(target.variant, target.variant):
        return f"it was built with {name}={told}, not {target.variant}"
    if elf.soft_float is not None and elf.soft_float != (target.variant == "softfloat"):
        kind = "software" if elf.soft_float else "hardware"
        return f"it does floating point in {kind}, which is not what {target} asks for"
    return None


def read_back(path: Path, target: Target) -> Elf:
    """What was built, held against what was asked for. Raises BuildFailed with the difference."""
    elf = read_elf(path)
    problem = fault(elf, target)
    if problem:
        raise BuildFailed(f"what go build made is not for {target}: {problem}")
    return elf
