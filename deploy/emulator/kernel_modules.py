"""Knows which module files a kernel needs for a name, and in which order; loading them is the guest's business.

A package holds modules without modules.dep, which depmod(8) writes on the machine where it is installed; the same
stands in each module's own .modinfo section (MODULE_INFO, include/linux/module.h of the Linux kernel).
"""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from deploy.errors import ImageFailed


def _name(file_name: str) -> str:
    """The kernel takes - and _ in a module's name for the same."""
    return file_name.partition(".ko")[0].replace("-", "_")


class KernelModules:
    """The modules of one kernel, under lib/modules/RELEASE."""

    def __init__(self, folder: Path) -> None:
        self.release = folder.name
        self._files = {_name(path.name): path for path in folder.rglob("*.ko*")}
        built_in = folder / "modules.builtin"
        lines = built_in.read_text(encoding="ascii").split() if built_in.exists() else []
        self._built_in = {_name(line.rpartition("/")[2]) for line in lines}

    def load_order(self, wanted: Iterable[str]) -> list[Path]:
        """The files of the modules for `wanted`, each after those that it needs.

        What is built in needs no loading; a name that this kernel does not know at all is left out. Soft dependencies
        may go round in a circle: a module is in the list once. Raises ImageFailed for a file that is no module.
        """
        ordered: dict[str, Path] = {}
        seen: set[str] = set()
        for name in wanted:
            self._add(_name(name), ordered, seen)
        return list(ordered.values())

    def _add(self, name: str, ordered: dict[str, Path], seen: set[str]) -> None:
        if name in seen or name in self._built_in or name not in self._files:
            return
        seen.add(name)
        path = self._files[name]
        try:
            needs = list(_needs(unpacked(path)))
        except (ELFError, lzma.LZMAError) as error:
            raise ImageFailed(f"{path.name} is no kernel module: {error}") from error
        for needed in needs:
            self._add(needed, ordered, seen)
        ordered[name] = path


def unpacked(path: Path) -> bytes:
    """What a module file holds."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _needs(module: bytes) -> Iterator[str]:
    """What has to be loaded before: depends=a,b and softdep=pre: a b (modprobe.d(5))."""
    section = ELFFile(io.BytesIO(module)).get_section_by_name(".modinfo")
    for entry in (section.data() if section else b"").split(b"\0"):
        key, _, value = entry.decode("ascii", "replace").partition("=")
        if key == "depends":
            yield from (_name(name) for name in value.split(",") if name)
        elif key == "softdep":
            before = False
            for word in value.split():
                if word in ("pre:", "post:"):
                    before = word == "pre:"
                elif before:
                    yield _name(word)
