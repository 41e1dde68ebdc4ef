"""Knows how a kernel module loses the symbols that nothing in it refers to, as `strip --strip-unneeded` takes them.

Debian's riscv64 modules carry hundreds of thousands of local labels: three quarters of ext4, in the file and, once it
is loaded, in the board's memory. A binutils for every architecture can't be asked of the user's machine.

Source of the format: elf(5), and the System V ABI, chapter 4 (relocatable files).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

_SYMTAB, _RELA, _NOBITS, _REL, _GROUP = 2, 4, 8, 9, 17
_LOCAL = 0
_RELOCATABLE = 1


@dataclass(frozen=True, slots=True)
class _Class:
    """What differs between 32 and 64 bits: where the header's fields are, and how entries are laid out."""

    header: str
    section: str
    symbol: str
    symbol_info: int
    """Which of a symbol's fields is st_info; st_name is the first."""
    rela: str
    rel: str
    symbol_shift: int
    """r_info holds the symbol above this many bits."""


_CLASSES = {
    1: _Class("<HHIIIIIHHHHHH", "<10I", "<IIIBBH", 3, "<IIi", "<II", 8),
    2: _Class("<HHIQQQIHHHHHH", "<IIQQQQIIQQ", "<IBBHQQ", 1, "<QQq", "<QQ", 32),
}


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


def without_unneeded(module: bytes) -> bytes:
    """The module with only the symbols that a relocation, a group or another module can ask for.

    What is no little-endian relocatable ELF file with one symbol table comes back as it is.
    """
    layout = _CLASSES.get(module[4]) if module[:4] == b"\x7fELF" and module[5:6] == b"\x01" else None
    if layout is None:
        return module
    header = list(struct.unpack_from(layout.header, module, 16))
    if header[0] != _RELOCATABLE:
        return module
    at, count, names = header[5], header[11], header[12]
    size = struct.calcsize(layout.section)
    sections = [_Section(*struct.unpack_from(layout.section, module, at + number * size)) for number in range(count)]
    tables = [number for number, section in enumerate(sections) if section.type == _SYMTAB]
    if len(tables) != 1 or sections[tables[0]].link == names:
        return module
    contents = [b"" if each.type == _NOBITS else module[each.offset : each.offset + each.size] for each in sections]
    _strip(layout, sections, contents, tables[0])
    return _written(module[:16], layout, header, sections, contents)


def _strip(layout: _Class, sections: list[_Section], contents: list[bytes], table: int) -> None:
    symbols = list(struct.iter_unpack(layout.symbol, contents[table]))
    used = {0}
    relocated = [number for number, each in enumerate(sections) if each.type in (_RELA, _REL) and each.link == table]
    entries = {}
    for number in relocated:
        form = layout.rela if sections[number].type == _RELA else layout.rel
        entries[number] = list(struct.iter_unpack(form, contents[number]))
        used.update(entry[1] >> layout.symbol_shift for entry in entries[number])
    used.update(each.info for each in sections if each.type == _GROUP and each.link == table)
    kept = [number for number, each in enumerate(symbols) if number in used or each[layout.symbol_info] >> 4 != _LOCAL]
    moved = {old: new for new, old in enumerate(kept)}
    text = sections[table].link
    contents[table], contents[text] = _symbols(layout, [symbols[number] for number in kept], contents[text])
    first_global = sum(1 for number in kept if symbols[number][layout.symbol_info] >> 4 == _LOCAL)
    sections[table] = sections[table]._replace(info=first_global)
    mask = (1 << layout.symbol_shift) - 1
    for number, found in entries.items():
        form = layout.rela if sections[number].type == _RELA else layout.rel
        contents[number] = b"".join(
            struct.pack(
                form, each[0], moved[each[1] >> layout.symbol_shift] << layout.symbol_shift | each[1] & mask, *each[2:]
            )
            for each in found
        )
    for number, each in enumerate(sections):
        if each.type == _GROUP and each.link == table:
            sections[number] = each._replace(info=moved[each.info])


def _symbols(layout: _Class, symbols: list[tuple[int, ...]], names: bytes) -> tuple[bytes, bytes]:
    """The symbol table and the names that are left."""
    text, offsets = bytearray(b"\0"), {b"": 0}
    packed = []
    for symbol in symbols:
        name = names[symbol[0] : names.index(b"\0", symbol[0])]
        if name not in offsets:
            offsets[name] = len(text)
            text += name + b"\0"
        packed.append(struct.pack(layout.symbol, offsets[name], *symbol[1:]))
    return b"".join(packed), bytes(text)


def _written(
    identity: bytes, layout: _Class, header: list[int], sections: list[_Section], contents: list[bytes]
) -> bytes:
    """The file anew: header, contents in their order, section headers."""
    start = 16 + struct.calcsize(layout.header)
    body = bytearray()
    for number in sorted(range(1, len(sections)), key=lambda each: sections[each].offset):
        section = sections[number]
        body += b"\0" * (-(start + len(body)) % max(1, section.align))
        size = section.size if section.type == _NOBITS else len(contents[number])
        sections[number] = section._replace(offset=start + len(body), size=size)
        body += contents[number]
    body += b"\0" * (-(start + len(body)) % 8)
    header[5] = start + len(body)
    table = b"".join(struct.pack(layout.section, *section) for section in sections)
    return identity + struct.pack(layout.header, *header) + bytes(body) + table
