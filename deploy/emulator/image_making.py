"""Knows how the image of an emulated machine is made of Debian's packages: kernel, first root (initramfs) and system.

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

FORM = 5
"""Counted up when images that were made before can't be used any more."""

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64")
_CERTIFICATES = "usr/share/ca-certificates/mozilla/"
_BUSYBOX = "usr/bin/busybox"
_BOOT = Path(__file__).parent / "boot"
_SYSTEM = "system"
"""Below what the system lies in its archive."""
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
    first, system = Archive(), Archive()
    release = _unpack(files, machine, land, folder, first, system)
    for name, archive in (("initrd", first), ("system", system)):
        with (folder / name).open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
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
    land.add_own(own, _SYSTEM)
    own.tree(_BOOT)
    digest.update(own.data())
    return digest.hexdigest()


def _unpack(files: list[Path], machine: Machine, land: UserLand, folder: Path, first: Archive, system: Archive) -> str:
    """The kernel into `folder`, the rest into the two archives; the kernel's release."""
    for each in ("dev", "proc", "sys", "usr/bin", "usr/sbin"):
        first.folder(each)
    first.file("init", (_BOOT / "init").read_bytes(), 0o755)
    certificates: list[bytes] = []
    for file in files:
        if file.name.startswith("linux-image-"):
            _take_kernel(file, folder)
        else:
            _take(file, land, first, system, certificates)
    for each in _MERGED:
        if system.has(f"{_SYSTEM}/usr/{each}"):
            system.link(f"{_SYSTEM}/{each}", f"usr/{each}")
    system.file(f"{_SYSTEM}/{_BUNDLE}", b"".join(certificates))
    land.add_own(system, _SYSTEM)
    releases = sorted((folder / "modules").glob("*"))
    if len(releases) != 1 or not (folder / "kernel").is_file():
        raise ImageFailed(
            f"the kernel's package for {machine.name} holds {len(releases)} kernels with modules, not one"
        )
    _add_modules(releases[0], machine, first)
    shutil.rmtree(folder / "modules")
    return releases[0].name


def _add_modules(release: Path, machine: Machine, archive: Archive) -> None:
    from deploy.emulator.kernel_modules import KernelModules, unpacked
    from deploy.emulator.module_symbols import without_unneeded

    modules = KernelModules(release)
    for group, wanted in (("boot", (*machine.modules, *_BOOT_MODULES)), *((each, (each,)) for each in _EXTRA_MODULES)):
        for number, file in enumerate(modules.load_order(wanted)):
            # Neither as xz, which takes an emulated CPU long to unpack, nor unpacked, which a small board can't hold.
            name = file.name.partition(".ko")[0]
            packed = gzip.compress(without_unneeded(unpacked(file)), 6, mtime=0)
            archive.file(f"modules/{group}/{number:02}-{name}.ko.gz", packed)


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


def _take(file: Path, land: UserLand, first: Archive, system: Archive, certificates: list[bytes]) -> None:
    with contents(file) as members:
        for member in members:
            path = _merged(member.name)
            if path.startswith(_CERTIFICATES) and path.endswith(".crt"):
                source = members.extractfile(member)
                certificates.append(source.read() if source else b"")
            elif path == _BUSYBOX and (source := members.extractfile(member)) is not None:
                data = source.read()
                first.file(path, data, 0o755)
                if land.keep(path):
                    system.file(f"{_SYSTEM}/{path}", data, 0o755)
            elif not land.keep(path):
                continue
            elif member.issym():
                system.link(f"{_SYSTEM}/{path}", member.linkname)
            elif member.islnk():
                system.link(f"{_SYSTEM}/{path}", f"/{_merged(member.linkname)}")
            elif (source := members.extractfile(member)) is not None:
                system.file(f"{_SYSTEM}/{path}", source.read(), member.mode & 0o777)


def _merged(name: str) -> str:
    """The path as on a system whose /bin, /sbin and /lib are links into /usr (Debian 13; 12 has some in both)."""
    path = name.removeprefix("./")
    return f"usr/{path}" if path.partition("/")[0] in _MERGED else path
