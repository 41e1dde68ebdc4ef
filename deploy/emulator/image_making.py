"""Knows how the image of an emulated machine is made of Debian's packages: a kernel and a first root (initramfs).

Where packages come from is `packages.py`'s, what a user land is made of `user_lands.py`'s; what was made is kept by
`images.py`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import time
from pathlib import Path

from deploy.build import sha256_of
from deploy.emulator.archive import Archive
from deploy.emulator.image import NAMES
from deploy.emulator.machines import Machine
from deploy.emulator.packages import Packages, contents
from deploy.emulator.user_lands import UserLand
from deploy.emulator.watch import Watch
from deploy.errors import ImageFailed

FORM = 4
"""Counted up when images that were made before can't be used any more."""

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64")
_CERTIFICATES = "usr/share/ca-certificates/mozilla/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_BOOT_MODULES = ("virtio_net", "virtio_blk", "crc32c_generic", "ext4")
_EXTRA_MODULES = ("overlay", "zram")


def image_name(machine: Machine, land: UserLand) -> str:
    """What the image is called: its folder in the cache."""
    return f"{machine.name}-{land.name}"


def fetch(packages: Packages, machine: Machine, land: UserLand, into: Path, watch: Watch) -> list[Path]:
    """Download all that the image is made of; the packages' files. Raises ImageFailed with APT's own words."""
    watch.note(f"fetching the package lists of Debian {machine.suite} for {machine.debian_architecture}")
    packages.update()
    kernel = packages.kernel_of(machine.kernel_package)
    names = [kernel, *packages.closure(land.packages), *land.lone_packages]
    watch.note(f"downloading {len(names)} packages, {kernel} among them")
    return packages.download(names, into, watch.progress)


def make(files: list[Path], machine: Machine, land: UserLand, folder: Path) -> None:
    """Write kernel, initrd and image.json into `folder`. Raises ImageFailed where the packages do not fit together."""
    release, archive = _unpack(files, machine, land, folder)
    with (folder / "initrd").open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        packed.write(archive.data())
    document = {
        "form": FORM,
        "name": image_name(machine, land),
        "recipe": recipe(machine, land),
        "kernel_release": release,
        "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "packages": [f"{path.stem.replace('%3a', ':')} {sha256_of(path)}" for path in files],
        "sha256": {each: sha256_of(folder / each) for each in NAMES},
    }
    (folder / "image.json").write_text(json.dumps(document, indent=2), encoding="utf-8")


def recipe(machine: Machine, land: UserLand) -> str:
    """What decides whether an image is up to date: what goes into it, and not how QEMU is started."""
    kernel = (machine.name, machine.suite, machine.debian_architecture, machine.kernel_package, machine.modules)
    parts = (FORM, kernel, land.packages, land.lone_packages, _BOOT_MODULES, _EXTRA_MODULES)
    digest = hashlib.sha256(repr(parts).encode())
    own = Archive()
    land.add_own(own)
    digest.update(own.data())
    return digest.hexdigest()


def _unpack(files: list[Path], machine: Machine, land: UserLand, folder: Path) -> tuple[str, Archive]:
    """The kernel into `folder`, and the first root; the kernel's release."""
    from deploy.emulator.kernel_modules import KernelModules, unpacked
    from deploy.emulator.module_symbols import without_unneeded

    archive = Archive()
    for each in ("dev", "proc", "sys", "etc", "usr/bin", "usr/sbin", "usr/lib"):
        archive.folder(each)
    certificates: list[bytes] = []
    for file in files:
        if file.name.startswith("linux-image-"):
            _take_kernel(file, folder)
        else:
            _take(file, land, archive, certificates)
    for each in _MERGED:
        if archive.has(f"usr/{each}"):
            archive.link(each, f"usr/{each}")
    archive.file(_BUNDLE, b"".join(certificates))
    releases = sorted((folder / "modules").glob("*"))
    if len(releases) != 1 or not (folder / "kernel").is_file():
        raise ImageFailed(
            f"the kernel's package for {machine.name} holds {len(releases)} kernels with modules, not one"
        )
    modules = KernelModules(releases[0])
    for group, wanted in (("boot", (*machine.modules, *_BOOT_MODULES)), *((each, (each,)) for each in _EXTRA_MODULES)):
        for number, file in enumerate(modules.load_order(wanted)):
            # Neither as xz, which takes an emulated CPU long to unpack, nor unpacked, which a small board can't hold.
            name = file.name.partition(".ko")[0]
            packed = gzip.compress(without_unneeded(unpacked(file)), 6, mtime=0)
            archive.file(f"modules/{group}/{number:02}-{name}.ko.gz", packed)
    land.add_own(archive)
    release = modules.release
    shutil.rmtree(folder / "modules")
    return release, archive


def _take_kernel(file: Path, folder: Path) -> None:
    with contents(file) as members:
        for member in members:
            path = _merged(member.name)
            if path.startswith(("boot/vmlinux-", "boot/vmlinuz-")):
                target = folder / "kernel"
            elif path.startswith("usr/lib/modules/") and (".ko" in path or path.endswith("/modules.builtin")):
                target = folder / path.removeprefix("usr/lib/")
            else:
                continue
            if (source := members.extractfile(member)) is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("wb") as written:
                shutil.copyfileobj(source, written)


def _take(file: Path, land: UserLand, archive: Archive, certificates: list[bytes]) -> None:
    with contents(file) as members:
        for member in members:
            path = _merged(member.name)
            if path.startswith(_CERTIFICATES) and path.endswith(".crt"):
                source = members.extractfile(member)
                certificates.append(source.read() if source else b"")
            elif not land.keep(path):
                continue
            elif member.issym():
                archive.link(path, member.linkname)
            elif (source := members.extractfile(member)) is not None:
                archive.file(path, source.read(), member.mode & 0o777)


def _merged(name: str) -> str:
    """The path as on a system whose /bin, /sbin and /lib are links into /usr (Debian 13; 12 has some in both)."""
    path = name.removeprefix("./")
    return f"usr/{path}" if path.partition("/")[0] in _MERGED else path
