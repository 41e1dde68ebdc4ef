"""Times the start of an emulated board, from a cached image to the SSH login, against the bare QEMU command.

The bare one is the same QEMU with the same kernel, and the system in its first root, whose first process loads the
network driver and starts Dropbear, and does nothing else: no flash, no keys of its own making, no Bot API, no way
back. The script times both by turns and asserts nothing: read the figures. Images that are missing are made first,
untimed.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import platform
import secrets
import signal
import statistics
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

DEADLINE_S = 120.0

BARE_INIT = b"""#!/usr/bin/busybox sh
b=/usr/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b mkdir -p /dev/pts /root/.ssh /run
$b mount -t devpts devpts /dev/pts
for module in /modules/boot/*.ko.gz; do
	case $module in
	*ext4* | *jbd2* | *mbcache* | *crc*) ;;
	*) $b zcat "$module" >/module.ko && $b insmod /module.ko ;;
	esac
done
$b ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
for folder in dev proc sys settings; do
	$b mkdir -p /system/$folder
	$b mount -o bind /$folder /system/$folder
done
$b mkdir -p /system/root/.ssh /system/run
$b cp /settings/authorized_keys /system/root/.ssh/
$b chmod 700 /system/root /system/root/.ssh
$b chroot /system /usr/sbin/dropbear -s -r /settings/dropbear_ed25519_host_key
echo "slimdeploy: the SSH server listens" >/dev/console
while :; do $b sleep 1000; done
"""


def main() -> int:
    """Parse the flags, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="how often each is started (default: 5)")
    parser.add_argument("--machines", default="riscv64,arm64,armv7,mipsle")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    found = [measure(name, options.runs) for name in options.machines.split(",")]
    print(json.dumps(found, indent=2) if options.json else text(found))
    return 0


def measure(name: str, runs: int) -> dict[str, object]:
    """Both by turns, on one machine."""
    from deploy.emulator.images import image_for
    from deploy.emulator.machines import machine_called
    from deploy.emulator.user_lands import BUSYBOX

    machine = machine_called(name)
    image = image_for(machine, BUSYBOX)
    ours: list[float] = []
    bare: list[float] = []
    for number in range(runs):
        print(f"{name}: run {number + 1} of {runs}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="slimdeploy-bench-") as folder:
            ours.append(start_ours(Path(folder), name, image.folder))
        with tempfile.TemporaryDirectory(prefix="slimdeploy-bench-") as folder:
            bare.append(asyncio.run(start_bare(Path(folder), name, image.folder)))
    return {
        "machine": name,
        "kernel": image.kernel_release,
        "ours_s": [round(value, 3) for value in ours],
        "bare_s": [round(value, 3) for value in bare],
        "ratio_of_medians": round(statistics.median(ours) / statistics.median(bare), 2),
    }


def start_ours(folder: Path, name: str, image: Path) -> float:
    """The whole of what `emulate.up` waits for: the daemon's start, keys, Bot API, boot, first login, the way back."""
    number = "".join(secrets.choice(string.digits) for _ in range(10))
    (folder / "token").write_text(f"{number}:{secrets.token_hex(18)[:35]}", encoding="ascii")
    settings = {"machine": name, "image": str(image), "memory_kib": 131072, "disk_kib": 32768, "health_port": 8080}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="ascii")
    began_s = time.monotonic()
    with (folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            (sys.executable, "-m", "deploy.emulator.machine_daemon", name, str(folder)),
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )
    try:
        while not (folder / "state.json").exists():
            if daemon.poll() is not None or time.monotonic() > began_s + DEADLINE_S:
                sys.exit((folder / "daemon.log").read_text())
            time.sleep(0.005)
        return time.monotonic() - began_s
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)


async def start_bare(folder: Path, name: str, image: Path) -> float:
    """From QEMU's start to the first answer of a login's shell."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from deploy.emulator import qemu
    from deploy.emulator.archive import Archive
    from deploy.emulator.console import Console
    from deploy.emulator.guest import Door, Guest
    from deploy.emulator.keys import for_asyncssh, public_line
    from deploy.emulator.machines import machine_called
    from deploy.emulator.serving import free_port
    from deploy.emulator.switches import Switches

    machine = machine_called(name)
    user, host = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys = qemu.settings_archive(
        name,
        public_line(user),
        qemu.dropbear_host_key(host.private_bytes_raw(), host.public_key().public_bytes_raw()),
        Switches().text(int(time.time())),
    )
    own = Archive()
    own.file("init", BARE_INIT, 0o755)
    initrd, flash = folder / "initrd", folder / "flash"
    whole = (image / "initrd").read_bytes() + (image / "system").read_bytes()
    initrd.write_bytes(whole + keys + gzip.compress(own.data()))
    flash.touch()
    os.truncate(flash, 1 << 20)
    port = free_port()
    command = qemu.arguments(
        machine,
        qemu.program_of(machine),
        kernel=image / "kernel",
        initrd=initrd,
        flash=flash,
        memory_kib=machine.memory_kib(131072),
        ssh_port=port,
    )
    guest = Guest(command, Console(folder / "console.log", lambda _: None), name)
    connection = await guest.boot(Door(port, for_asyncssh(user), for_asyncssh(host)), DEADLINE_S)
    connection.abort()
    await guest.cut()
    return guest.login_s


def text(found: list[dict[str, object]]) -> str:
    """The figures for people."""
    lines = [f"seconds from the start to the SSH login; {os.cpu_count()} CPUs, {platform.release()}"]
    for each in found:
        ours, bare = each["ours_s"], each["bare_s"]
        assert isinstance(ours, list) and isinstance(bare, list)
        lines.append(
            f"{each['machine']:<8} ours {min(ours):.2f} / {statistics.median(ours):.2f} / {max(ours):.2f}   "
            f"bare {min(bare):.2f} / {statistics.median(bare):.2f} / {max(bare):.2f}   "
            f"ratio of the medians {each['ratio_of_medians']}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
