"""Knows what preflight learns about a host. Asking for it is `board_shell/preflight.py`'s, judging it a step's."""

from __future__ import annotations

from dataclasses import dataclass, field

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
class Init:
    """What starts a host's services, and what the kernel can hold them to."""

    name: str = ""
    """systemd, openrc, procd or busybox_init; "" where it is none of them."""
    version: int = 0
    """systemd's, 0 where it is not known."""
    writable: bool = False
    """Whether this login may write the folder of its services."""
    cgroup: str = ""
    """Which version of cgroups has the memory controller here: "v2", "v1", or "" for none."""
    manager: str = ""
    """The service manager that keeps the gateway under the prefix now, as it noted there; "" where nobody did."""
    user: str = ""
    """The user of its own that the gateway has there, as the manager noted; "" for the login's."""


@dataclass(frozen=True, slots=True)
class OwnUser:
    """What a host has for a user of the gateway's own; asked where the login is root."""

    exists: bool = False
    can_be_made: bool = False
    way: str = ""
    """The program by which it is become (`service/own_user.py`), tried out; "" for none."""
    reaches: bool = False
    """Whether another user than root may reach the folder that the prefix lies in."""


@dataclass(frozen=True, slots=True)
class Part:
    """The beginning of a binary, as a push left it whose link broke."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What lies under the prefix. Hashes are SHA-256 in hex; "" where there is no such file."""

    current: str
    """The release id that `current` points at, "" without one."""
    previous: str
    releases: dict[str, str]
    """Every release id under `releases/`, and the hash of the current one's binary; "" for the others."""
    config_sha256: str
    ca_sha256: str
    service_sha256: dict[str, str]
    """Of the files that a service manager may have: by path, those under the prefix relative to it."""
    sizes: dict[str, int] = field(default_factory=dict)
    """By release id, how many bytes its binary has; of the current one it isn't asked."""
    parts: dict[str, Part] = field(default_factory=dict)
    """By release id, what arrived of those that are not whole."""
    guarded: bool = False
    """Whether a deployment that has not ended would be put back by its guard: what runs now may not be what stays."""


@dataclass(frozen=True, slots=True)
class Running:
    """The gateway that runs under the prefix, seen through its pid file."""

    process: Process
    exe_path: str
    exe_sha256: str
    limits: dict[str, str]
    """GOMEMLIMIT, GOGC and GOMAXPROCS as they stand in /proc/PID/environ."""
    supervised: bool
    """Whether somebody starts it again when it ends."""
    hard_bytes: int | None = None
    """The memory limit of its cgroup, read from the kernel; None where there is none."""
    user: str = ""
    """The name of the user that it runs as, by its effective UID; the UID itself where it has no name."""


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
    port_taken: bool
    """Whether a process other than the running gateway listens on the health port."""
    installed: Installed
    running: Running | None
    init: Init = Init()
    own_user: OwnUser = OwnUser()
    swap_kib: int = 0
    overcommit: int | None = None
    """vm.overcommit_memory (proc(5)): 0 refuses what can never fit, 1 refuses nothing, 2 counts strictly."""
