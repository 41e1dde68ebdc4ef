"""A host that says nothing of note, and what tests change of it."""

from __future__ import annotations

from typing import Any

from deploy.model.facts import ElfIdentity
from deploy.model.probed import FileSystem, Probed, Processor

_PLAIN: dict[str, Any] = {
    "system": "Linux",
    "kernel_release": "6.12.1",
    "machine": "riscv64",
    "elf": ElfIdentity(64, True, 243),
    "elf_flags": 0x5,
    "processor": Processor(1, {"isa": ("rv64imafdc",)}),
    "model": "",
    "compatible": (),
    "operating_system": "Buildroot 2024.02",
    "built_for": "",
    "ram_kib": 56 * 1024,
    "available_kib": 40 * 1024,
    "swap_kib": 0,
    "init": "busybox_init",
    "first_process": "init",
    "ssh_server": "dropbear",
    "ssh_version": "2022.83",
    "sftp": False,
    "tools": frozenset({"gunzip", "sha256sum", "od"}),
    "busybox": "1.36.1",
    "libc": "musl",
    "user": "root",
    "is_root": True,
    "clock_s": 1_790_000_000,
    "has_rtc": False,
    "ca_bundle": "",
    "file_systems": (FileSystem("/", "ext4", ("rw",), 200_000, 100_000),),
    "devices": (),
}


def probed(**changes: Any) -> Probed:
    """A small riscv64 board, but for `changes`."""
    return Probed(**(_PLAIN | changes))
