"""Knows how QEMU is started for a machine: its arguments, and what each start brings beside the image.

Source: qemu-system(1). The machines are `machines.py`'s, who starts and watches QEMU is `machine_daemon.py`.
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from deploy.emulator.archive import Archive
from deploy.emulator.machines import Machine
from deploy.errors import Unsupported


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
