"""Knows how QEMU is started for a machine: its arguments, and what each start brings beside the image.

Source: qemu-system(1). The machines are `machines.py`'s, who starts and watches QEMU is `machine_daemon.py`.
"""

from __future__ import annotations

import gzip
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.emulator.archive import Archive
from deploy.emulator.machines import Machine
from deploy.errors import Unsupported


@dataclass(frozen=True, slots=True)
class Switches:
    """What differs from host to host in the field; `busybox/init` and `busybox/init.d` act on it."""

    tmp_noexec: bool = False
    ca_bundle: bool = True
    clock_at_1970: bool = False
    without: tuple[str, ...] = ()
    """Programs that this user land lacks, such as sha256sum or gunzip."""
    cgroup: str = "v2"
    """v2, v1, or "" for none that is mounted."""
    swap_on_zram: bool = False
    flash_left_kib: int | None = None
    """How much of the flash is free at the first login; None leaves it all."""

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Switches:
        """From JSON values."""
        return cls(**{**table, "without": tuple(table.get("without", ()))})

    @property
    def ordinary_flash(self) -> bool:
        """Whether the flash is made as everybody's is."""
        return self.ca_bundle and not self.without and self.flash_left_kib is None

    def text(self, clock_s: int, *, make_only: bool = False) -> bytes:
        """As the shell scripts of the user land read it; `make_only` makes the flash and no more."""
        pairs = {
            "tmp_options": "noexec" if self.tmp_noexec else "exec",
            "ca_bundle": "1" if self.ca_bundle else "0",
            "make_only": "1" if make_only else "0",
            "clock_s": "0" if self.clock_at_1970 else str(clock_s),
            "without": " ".join(self.without),
            "cgroup": self.cgroup,
            "swap": "zram" if self.swap_on_zram else "",
            "load_modules": "zram" if self.swap_on_zram else "",
            "flash_left_kib": "" if self.flash_left_kib is None else str(self.flash_left_kib),
        }
        return "".join(f"{key}={shlex.quote(value)}\n" for key, value in pairs.items()).encode()


def settings_archive(hostname: str, public_key: str, dropbear_host_key: bytes, switches: bytes) -> bytes:
    """What follows the image's own archive at every start: keys, the name, and what Switches.text says."""
    archive = Archive()
    archive.folder("settings", 0o700)
    archive.file("settings/authorized_keys", public_key.encode() + b"\n", 0o600)
    archive.file("settings/dropbear_ed25519_host_key", dropbear_host_key, 0o600)
    archive.file("settings/hostname", hostname.encode() + b"\n")
    archive.file("settings/switches", switches)
    return gzip.compress(archive.data(), 6, mtime=0)


def dropbear_host_key(private: bytes, public: bytes) -> bytes:
    """An Ed25519 key as Dropbear keeps it: the type's name, then 64 bytes, private before public.

    Source: buf_put_ed25519_priv_key in Dropbear's src/ed25519.c; lengths are those of RFC 4251, section 5.
    """
    name = b"ssh-ed25519"
    return b"".join((len(name).to_bytes(4, "big"), name, (64).to_bytes(4, "big"), private, public))


def program_of(machine: Machine) -> str:
    """QEMU's path. Raises Unsupported with the package that installs it."""
    found = shutil.which(machine.program)
    if found is None:
        raise Unsupported(
            f"this machine has no {machine.program}; install it: apt-get install {machine.program_package}"
        )
    return found


def arguments(
    machine: Machine, program: str, *, kernel: Path, initrd: Path, flash: Path, memory_kib: int, ssh_port: int
) -> list[str]:
    """The whole command. The guest reaches no network; only the SSH port of 127.0.0.1 leads to it."""
    return [
        program,
        *machine.arguments,
        *("-m", f"{memory_kib // 1024}M", "-smp", "1"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-monitor", "none"),
        *("-kernel", str(kernel), "-initrd", str(initrd)),
        # panic=-1: a kernel that can't go on restarts at once; the daemon sees that and says so
        *("-append", f"console={machine.console} panic=-1 loglevel=4", "-no-reboot"),
        *("-netdev", f"user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-:22"),
        *("-device", f"{machine.network_device},netdev=net0"),
        # unsafe: the host need not write it all out at each sync of the guest. What the guest has written is in the
        # host's page cache then, which outlives QEMU; the power cuts that we make are QEMU's.
        *("-drive", f"file={_in_a_list(flash)},format=raw,if=none,id=flash,discard=unmap,cache=unsafe"),
        *("-device", "virtio-blk-pci,drive=flash"),
    ]


def _in_a_list(path: Path) -> str:
    """A path among QEMU's comma-separated options, where a comma of its own is doubled (qemu(1), -drive)."""
    return str(path).replace(",", ",,")
