"""Knows what a host says of itself when it is asked what board it is.

The question and its parser are `board_shell/probe.py`'s; what follows from the answer is `processor.py`'s (the target)
and `recognising.py`'s (the board).
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.model.facts import ElfIdentity


@dataclass(frozen=True, slots=True)
class Processor:
    """What /proc/cpuinfo says. `said` holds every different value of a key, once each: cores may differ."""

    count: int
    said: dict[str, tuple[str, ...]]

    def first(self, *keys: str) -> str:
        """The first value of the first of `keys` that is there, "" where none is."""
        return next((values[0] for key in keys if (values := self.said.get(key))), "")

    def shared_words(self, *keys: str) -> frozenset[str]:
        """The words, in lower case, that every value of the first of `keys` that is there has: what all cores have."""
        values = next((values for key in keys if (values := self.said.get(key))), ())
        words = [frozenset(value.lower().split()) for value in values]
        return frozenset.intersection(*words) if words else frozenset()

    @property
    def name(self) -> str:
        """As people call it; which key tells it differs by architecture."""
        return self.first("model name", "Model Name", "cpu model", "Processor", "uarch", "Hardware", "system type")


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One mounted file system, as df and /proc/mounts give it."""

    mount_point: str
    kind: str
    """Such as ext4, overlay, tmpfs; "" where /proc/mounts does not have it."""
    options: tuple[str, ...]
    size_kib: int
    free_kib: int


@dataclass(frozen=True, slots=True)
class Device:
    """What can be written to: a block device (/sys/block) or a flash partition (/proc/mtd)."""

    name: str
    kind: str
    """"disk" or "flash"."""
    size_kib: int


@dataclass(frozen=True, slots=True)
class Probed:
    """Everything that one probe tells. Texts are cleaned and short; "" where the host does not say."""

    system: str
    kernel_release: str
    machine: str
    """`uname -m`."""
    elf: ElfIdentity
    """Of the host's own shell."""
    elf_flags: int
    """e_flags of the same (elf(5)): its bits are the architecture's own."""
    processor: Processor
    model: str
    """The device tree's model, or the product's name where there is no device tree (a PC)."""
    compatible: tuple[str, ...]
    """The device tree's compatible, the most specific first (Devicetree Specification 0.4, section 2.3.1)."""
    operating_system: str
    """PRETTY_NAME of os-release(5)."""
    built_for: str
    """What the system says that it was built for: OpenWrt's target, or the first line of issue(5)."""
    ram_kib: int
    available_kib: int
    swap_kib: int
    init: str
    """systemd, openrc, procd, busybox_init, sysv, runit, s6 or none."""
    first_process: str
    """What process 1 is called."""
    ssh_server: str
    """openssh, dropbear or tinyssh, found above this shell among its parents; "" where it is none of them."""
    ssh_version: str
    sftp: bool
    """Whether an SFTP server that the SSH server could start was found."""
    tools: frozenset[str]
    busybox: str
    """BusyBox's version, "" where it has none."""
    libc: str
    """glibc, musl or uclibc; "" where its shell is static and no loader lies about."""
    user: str
    is_root: bool
    clock_s: int
    """Seconds since 1970 on the host's clock."""
    has_rtc: bool
    ca_bundle: str
    file_systems: tuple[FileSystem, ...]
    devices: tuple[Device, ...]
