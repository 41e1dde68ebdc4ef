"""Knows what an emulated board's user land is made of: Debian packages, what is kept of them, and files of our own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.emulator.archive import Archive

_HERE = Path(__file__).parent

# Libraries and their loader, but neither the character sets of iconv nor what only a debugger or a profiler opens.
_LIBRARY = re.compile(
    r"usr/lib(32|64)?/(?:[a-z0-9_-]+/)?(?!libmemusage|libpcprofile|libthread_db|libnss_hes)[^/]+\.so(\.[0-9.]+)?"
)
_PROGRAMS = frozenset({"usr/bin/busybox", "usr/bin/dash", "usr/sbin/dropbear", "usr/sbin/mke2fs", "etc/mke2fs.conf"})


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
    add_own: Callable[[Archive], None]
    """Adds the files that are ours."""


def _keep_busybox(path: str) -> bool:
    return path in _PROGRAMS or _LIBRARY.fullmatch(path) is not None


def _add_busybox(archive: Archive) -> None:
    folder = _HERE / "busybox"
    archive.file("init", (folder / "init").read_bytes(), 0o755)
    for name in ("inittab", "passwd", "group"):
        archive.file(f"etc/{name}", (folder / name).read_bytes())
    for path in sorted((folder / "init.d").iterdir()):
        archive.file(f"etc/init.d/{path.name}", path.read_bytes(), 0o755)
    archive.link("usr/bin/sh", "busybox")
    archive.link("usr/sbin/init", "../bin/busybox")


BUSYBOX = UserLand(
    name="busybox",
    title="BusyBox init, Dropbear without SFTP",
    packages=("busybox-static", "dropbear-bin", "e2fsprogs", "dash"),
    lone_packages=("ca-certificates",),
    keep=_keep_busybox,
    add_own=_add_busybox,
)

USER_LANDS = {land.name: land for land in (BUSYBOX,)}
