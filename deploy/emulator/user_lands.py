"""Knows what an emulated board's user land is made of: Debian packages, what is kept of them, and files of our own.

Packages are unpacked and none of their scripts is run: what those would have done stands in `lands/` and in `links`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.emulator.archive import Archive
from deploy.emulator.switches import Switches
from deploy.errors import UsageError

_LANDS = Path(__file__).parent / "lands"

_SHARED = ("ca-certificates",)

# Libraries and their loader, but neither the character sets of iconv nor what only a debugger or a profiler opens.
_LIBRARY = re.compile(
    r"usr/lib(32|64)?/(?:[a-z0-9_-]+/)?(?!libmemusage|libpcprofile|libthread_db|libnss_hes)[^/]+\.so(\.[0-9.]+)?"
)
_PROGRAMS = frozenset({"usr/bin/busybox", "usr/bin/dash", "usr/sbin/dropbear", "usr/sbin/mke2fs", "etc/mke2fs.conf"})

# What a running system never opens, or what only another machine than these would: the larger part of the packages.
_UNUSED = re.compile(
    r"usr/share/|usr/include/|usr/games/|usr/lib/(udev|systemd/(boot|ukify|catalog|user|network|ntp-units.d))/"
    r"|usr/lib/[^/]+/(gconv|perl|security|ossl-modules|engines-3)/|var/|etc/(pam\.d|cron|apt|X11|apparmor\.d)/"
    r"|usr/s?bin/(busctl|kernel-install|systemd-(sysext|confext|vpick|creds|firstboot|repart))$"
)


@dataclass(frozen=True, slots=True)
class UserLand:
    """One kind of user land. `keep` is asked with a path without a leading slash, under usr/ where Debian merged it."""

    name: str
    title: str
    packages: tuple[str, ...]
    """With all that they depend on."""
    lone_packages: tuple[str, ...]
    """By themselves: only files of theirs are wanted."""
    keep: Callable[[str], bool]
    folders: tuple[str, ...]
    """Those of `lands/` whose files are added."""
    links: tuple[tuple[str, str], ...]
    """Symbolic links that are added: the path, and what it leads to."""
    disk_kib: int
    """The flash that it gets where nobody asks for another."""
    least_disk_kib: int
    """The least that it fits on, with room for two releases of the gateway."""
    making_kib: int
    """What Linux has to see while the flash is made: the whole system is in memory then."""
    least_kib: int = 0
    """The least that Linux has to see, where the machine needs less."""
    cgroups: tuple[str, ...] = ("v2", "v1", "")
    """Which of the switch's settings its init can have."""

    def add_own(self, archive: Archive, below: str) -> None:
        """Add the files that are ours."""
        for name in self.folders:
            folder = _LANDS / name
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    data = path.read_bytes()
                    mode = 0o755 if data.startswith(b"#!") else 0o644
                    archive.file(f"{below}/{path.relative_to(folder)}", data, mode)
        for name, to in self.links:
            archive.link(f"{below}/{name}", to)

    def refuse(self, switches: Switches, memory_kib: int, disk_kib: int) -> None:
        """Raise UsageError for what it can't have."""
        if switches.cgroup not in self.cgroups:
            asked = f"cgroup-{switches.cgroup}" if switches.cgroup else "no-cgroup"
            raise UsageError(f"--switches: {self.title} starts with cgroup v2 alone, and not with {asked}")
        if memory_kib < self.least_kib:
            raise UsageError(
                f"{self.title} takes {self.least_kib // 1024} MiB of memory or more, as Linux sees them "
                f"(--memory {self.least_kib // 1024}MiB)"
            )
        if disk_kib < self.least_disk_kib:
            raise UsageError(
                f"{self.title} takes a flash of {self.least_disk_kib // 1024} MiB or more "
                f"(--disk {self.least_disk_kib // 1024}MiB)"
            )


def _keep_busybox(path: str) -> bool:
    return path in _PROGRAMS or _LIBRARY.fullmatch(path) is not None


def _keep_openrc(path: str) -> bool:
    own = path.startswith(("usr/lib/rc/", "etc/rc.conf", "etc/init.d/cgroups", "etc/insserv.conf"))
    programs = re.match(r"usr/s?bin/(openrc|rc-|supervise-daemon)", path) is not None
    return own or programs or _keep_busybox(path)


def _keep_systemd(path: str) -> bool:
    return _UNUSED.match(path) is None and path != "usr/bin/busybox"


_BUSYBOX_LINKS = (("usr/bin/sh", "busybox"), ("usr/sbin/init", "../bin/busybox"), ("var/run", "/run"))
_SSH = ("busybox-static", "dropbear-bin", "e2fsprogs", "dash")

BUSYBOX = UserLand(
    name="busybox",
    title="BusyBox init",
    packages=_SSH,
    lone_packages=_SHARED,
    keep=_keep_busybox,
    folders=("shared", "busybox"),
    links=_BUSYBOX_LINKS,
    disk_kib=32 * 1024,
    least_disk_kib=16 * 1024,
    making_kib=64 * 1024,
)
OPENRC = UserLand(
    name="openrc",
    title="OpenRC under BusyBox init",
    packages=(*_SSH, "openrc"),
    lone_packages=_SHARED,
    keep=_keep_openrc,
    folders=("shared", "openrc"),
    links=(
        *_BUSYBOX_LINKS,
        ("etc/runlevels/sysinit/cgroups", "/etc/init.d/cgroups"),
        ("etc/runlevels/boot/board", "/etc/init.d/board"),
        ("etc/runlevels/boot/network", "/etc/init.d/network"),
        ("etc/runlevels/default/dropbear", "/etc/init.d/dropbear"),
    ),
    disk_kib=40 * 1024,
    least_disk_kib=24 * 1024,
    making_kib=64 * 1024,
)
# What waits for hardware, a console or a login that these machines have not, or prepares a first start.
_MASKED = (
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "ldconfig.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-journal-catalog-update.service",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
    "systemd-update-done.service",
    "tmp.mount",  # by the switches instead
)
# Each is a process more at the boot and at each daemon-reload, which take seconds here; they find nothing to do.
_MASKED_GENERATORS = (
    *("debug", "getty", "gpt-auto", "hibernate-resume", "rc-local"),
    *("run", "ssh", "system-update", "sysv", "tpm2"),
)
_SYSTEM = "etc/systemd/system"
SYSTEMD = UserLand(
    name="systemd",
    title="Debian with systemd",
    packages=(
        *("systemd", "systemd-sysv", "dash", "coreutils", "grep", "sed", "gzip", "mawk", "findutils", "procps"),
        *("util-linux", "mount", "hostname", "iproute2", "dropbear-bin", "e2fsprogs"),
    ),
    lone_packages=(*_SHARED, "busybox-static"),
    keep=_keep_systemd,
    folders=("shared", "systemd"),
    links=(
        ("usr/bin/sh", "dash"),
        ("usr/bin/awk", "mawk"),
        (f"{_SYSTEM}/default.target", "/usr/lib/systemd/system/multi-user.target"),
        (f"{_SYSTEM}/sysinit.target.wants/board.service", "../board.service"),
        (f"{_SYSTEM}/multi-user.target.wants/network.service", "../network.service"),
        (f"{_SYSTEM}/multi-user.target.wants/dropbear.service", "../dropbear.service"),
        *((f"etc/systemd/system-generators/systemd-{name}-generator", "/dev/null") for name in _MASKED_GENERATORS),
        *((f"{_SYSTEM}/{name}", "/dev/null") for name in _MASKED),
    ),
    disk_kib=128 * 1024,
    least_disk_kib=80 * 1024,
    making_kib=384 * 1024,
    # It boots with 40 MiB. But /run is a fifth of the memory, and daemon-reload wants 16 MiB free there (systemd 257).
    least_kib=96 * 1024,
    cgroups=("v2",),
)

USER_LANDS = {land.name: land for land in (BUSYBOX, OPENRC, SYSTEMD)}


def user_land_called(name: str) -> UserLand:
    """The user land of that name. Raises UsageError with all that there are."""
    if name not in USER_LANDS:
        raise UsageError(f"--user-land takes {', '.join(USER_LANDS)}, and not {name!r}")
    return USER_LANDS[name]
