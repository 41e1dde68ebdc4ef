"""Knows how a host is asked for its file systems and devices, and how df, /proc/mounts, /sys/block and /proc/mtd read.

It is one section of the probe (`probe.py`), which says what a text of a stranger's may hold.
"""

from __future__ import annotations

import re

from deploy.board_shell.place import unescaped
from deploy.board_shell.probe_text import one_line
from deploy.model.probed import Device, FileSystem
from deploy.model.units import KIB

MOST = 64
"""Of file systems and of devices. Containers mount hundreds, which tell nothing of a board."""

_SECTOR_BYTES = 512
"""The unit of /sys/block/*/size, whatever the device's own is (Linux, Documentation/ABI/stable/sysfs-block)."""

# Where systems of small boards put what outlives a reboot: / and the home, /opt, OpenWrt's /overlay, vendors' /data,
# /userdata and /mnt/*; and /tmp, which is often RAM.
STORAGE = """\
for d in / "$HOME" /opt /overlay /data /userdata /mnt/data /mnt/UDISK /oem /tmp; do
    [ -d "$d" ] || continue
    echo "df $d"
    df -Pk "$d" 2>/dev/null | sed 1d
done
echo mounts
while read -r dev point kind options rest; do echo "$point $kind $options"; done </proc/mounts
echo devices
for d in /sys/block/*/size; do
    n=${d%/size}
    case ${n##*/} in loop*|ram*|zram*|dm-*|md*|sr*|fd*|mtdblock*|nbd*) continue;; esac
    printf 'disk %s %s\\n' "${n##*/}" "$(cat "$d" 2>/dev/null)"
done
sed -n 's/^mtd[0-9]*: \\([0-9a-f]*\\) [0-9a-f]* "\\(.*\\)"$/flash \\1 \\2/p' /proc/mtd 2>/dev/null; :"""


def parse_file_systems(text: str) -> tuple[FileSystem, ...]:
    """Each file system once, in the order asked; a row of df that can't be read is left out."""
    head, _, rest = text.partition("mounts\n")
    mounts: dict[str, tuple[str, tuple[str, ...]]] = {}
    for line in rest.partition("\ndevices\n")[0].splitlines():
        fields = line.split()
        if len(fields) >= 3:  # the last mount on a point is the one in force
            mounts[unescaped(fields[0])] = (fields[1], tuple(fields[2].split(",")))
    found: dict[str, FileSystem] = {}
    for row in re.split(r"(?:^|\n)df [^\n]*\n", head)[: MOST + 1]:
        # A BusyBox without -P folds a long device name onto a line of its own.
        fields = row[:2000].split()
        if len(fields) < 6 or not all(re.fullmatch(r"[0-9]{1,15}", fields[at]) for at in (1, 3)):
            continue
        point = " ".join(fields[5:])
        kind, options = mounts.get(point, ("", ()))
        shown = one_line(point)
        found.setdefault(
            shown,
            FileSystem(
                shown, one_line(kind), tuple(one_line(each) for each in options[:MOST]), int(fields[1]), int(fields[3])
            ),
        )
    return tuple(found.values())


def parse_devices(text: str) -> tuple[Device, ...]:
    """The block devices and the flash partitions; those without a size (an empty card reader) are left out."""
    found: list[Device] = []
    for line in text.rpartition("devices\n")[2].splitlines():
        disk = re.fullmatch(r"disk (\S{1,40}) ([0-9]{1,15})", line)
        flash = re.fullmatch(r"flash ([0-9a-f]{1,12}) (.{1,80})", line)
        if disk and int(disk[2]):
            found.append(Device(one_line(disk[1]), "disk", int(disk[2]) * _SECTOR_BYTES // KIB))
        elif flash and int(flash[1], 16):
            found.append(Device(one_line(flash[2]), "flash", int(flash[1], 16) // KIB))
        if len(found) == MOST:
            break
    return tuple(found)
