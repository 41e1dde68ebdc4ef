"""Knows what preflight learns about a host. Asking for it is `board_shell/preflight.py`'s, judging it a step's."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.model.reading import Process


@dataclass(frozen=True, slots=True)
class ElfIdentity:
    """The first bytes of the ELF header of a program that the board itself runs (elf(5))."""

    bits: int
    little_endian: bool
    machine: int
    """e_machine."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the prefix would lie: its file system as df and /proc/mounts give it."""

    prefix: str
    """Absolute; the login's own folder where the board's prefix is not writable and was not asked for by name."""
    free_kib: int
    mount_point: str
    mount_options: tuple[str, ...]
    file_system: str
    writable: bool


@dataclass(frozen=True, slots=True)
class Installed:
    """What lies under the prefix. Hashes are SHA-256 in hex; "" where there is no such file."""

    current: str
    """The release id that `current` points at, "" without one."""
    previous: str
    releases: tuple[str, ...]
    """Every folder under `releases/`."""
    binary_sha256: str
    """Of the release that was asked about, "" where it is not there or is not executable."""
    config_sha256: str
    ca_sha256: str
    supervisor_sha256: str


@dataclass(frozen=True, slots=True)
class Running:
    """The gateway that runs under the prefix, seen through its pid file."""

    process: Process
    exe_path: str
    exe_sha256: str
    limits: dict[str, str]
    """GOMEMLIMIT, GOGC and GOMAXPROCS as they stand in /proc/PID/environ."""
    supervised: bool


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Everything that one preflight round trip tells."""

    system: str
    machine: str
    """`uname -m`."""
    kernel_release: str
    elf: ElfIdentity
    ram_kib: int
    mem_available_kib: int
    is_root: bool
    clock_s: int
    """Seconds since 1970 on the board's clock."""
    ca_bundle: str
    """The first CA bundle that Go would find, "" without one."""
    tools: frozenset[str]
    place: Place
    port_holder: str
    """"" where the health port is free or ours; else who listens there, such as "another process"."""
    installed: Installed
    running: Running | None
