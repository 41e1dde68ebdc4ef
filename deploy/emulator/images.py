"""Knows how the image of an emulated machine is made of Debian's packages, once, and kept in the user's cache.

An image is a kernel and a first root (initramfs). What differs from board to board (keys, memory, switches) comes
with each start and is not in it. Where packages come from is `packages.py`'s.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import lzma
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.emulator.archive import Archive
from deploy.emulator.machines import MACHINES, Machine
from deploy.emulator.packages import Packages, contents, packages_for
from deploy.emulator.user_lands import USER_LANDS, UserLand
from deploy.emulator.watch import Watch
from deploy.errors import ImageFailed
from deploy.folders import cache_folder

FORM = 4
"""Counted up when images that were made before can't be used any more."""

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64")
_CERTIFICATES = "usr/share/ca-certificates/mozilla/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_BOOT_MODULES = ("virtio_net", "virtio_blk", "crc32c_generic", "ext4")
_EXTRA_MODULES = ("overlay", "zram")
_NAMES = ("kernel", "initrd")
_LOCK_PAUSE_S = 0.2
_LOCK_S = 1800.0
_PRUNE_S = 2.0


@dataclass(frozen=True, slots=True)
class Image:
    """A machine's image in the cache. `packages` names each package with its version and SHA-256."""

    name: str
    folder: Path
    kernel_release: str
    made_at: str
    """UTC, ISO 8601."""
    packages: tuple[str, ...]
    hashes: dict[str, str]
    """SHA-256 of each file."""

    @property
    def kernel(self) -> Path:
        """What QEMU's -kernel takes."""
        return self.folder / "kernel"

    @property
    def initrd(self) -> Path:
        """A gzip-compressed cpio archive; a second one may follow it."""
        return self.folder / "initrd"

    @property
    def size_bytes(self) -> int:
        """What it takes in the cache."""
        return sum((self.folder / name).stat().st_size for name in _NAMES)


class _Nobody:
    def note(self, text: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass


def image_name(machine: Machine, land: UserLand) -> str:
    """What the image is called: its folder in the cache."""
    return f"{machine.name}-{land.name}"


def _known_names() -> set[str]:
    return {image_name(machine, land) for machine in MACHINES for land in USER_LANDS.values()}


def image_for(machine: Machine, land: UserLand, watch: Watch | None = None) -> Image:
    """The image from the cache, made first where it is not there or is of an older recipe.

    Raises ImageFailed, Unsupported.
    """
    watch = watch or _Nobody()
    name = image_name(machine, land)
    with _locked(name):
        found = _read(images_folder() / name)
        if found is not None and found[1] == _recipe(machine, land):
            check(found[0])
            return found[0]
        return _make(machine, land, watch)


def images_folder() -> Path:
    """Where images are kept."""
    return cache_folder() / "images"


def listing() -> list[Image]:
    """The images that are there, by name."""
    folder = images_folder()
    if not folder.is_dir():
        return []
    return [found[0] for path in sorted(folder.iterdir()) if path.is_dir() and (found := _read(path)) is not None]


def check(image: Image) -> None:
    """Raise ImageFailed where a file of the image is not what was made."""
    for name, expected in image.hashes.items():
        if _sha256(image.folder / name) != expected:
            problem = f"{image.folder / name} is not what was made: its SHA-256 differs"
            raise ImageFailed(f"{problem}; remove it with emulate.images --prune and let it be made again")


def prune() -> list[Image]:
    """Remove every image, and the package lists; the images that were there.

    Raises ImageFailed where one is being made just now. The files that makers wait by stay.
    """
    with ExitStack() as locks:
        for name in sorted(_known_names()):
            locks.enter_context(_locked(name, _PRUNE_S))
        gone = listing()
        for path in images_folder().iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
    return gone


def export(name: str, to: Path) -> Image:
    """Write an image into one file, for a machine that can't make it. Raises ImageFailed where there is none."""
    found = _read(images_folder() / name)
    if found is None:
        raise ImageFailed(f"there is no image {name} in the cache")
    check(found[0])
    part = to.with_name(f".{to.name}.part")
    try:
        with tarfile.open(part, "w") as archive:
            for file in ("image.json", *_NAMES):
                archive.add(found[0].folder / file, f"{name}/{file}")
        part.replace(to)
    except OSError as error:
        raise ImageFailed(f"{to} can't be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return found[0]


def bring_in(file: Path) -> Image:
    """Take an image that another machine exported; its hashes are checked. Raises ImageFailed."""
    images_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=images_folder(), prefix=".import-") as scratch:
        try:
            with tarfile.open(file) as archive:
                members = {member.name: member for member in archive if member.isfile()}
                name = next((each.partition("/")[0] for each in members if each.endswith("/image.json")), "")
                if name not in _known_names():
                    raise ImageFailed(f"{file} holds no image of a machine that is known here")
                for each in ("image.json", *_NAMES):
                    source = archive.extractfile(members[f"{name}/{each}"])
                    assert source is not None  # a regular file, above
                    with source, (Path(scratch) / each).open("wb") as target:
                        shutil.copyfileobj(source, target)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, KeyError) as error:
            raise ImageFailed(f"{file} is no exported image: {error}") from error
        found = _read(Path(scratch))
        if found is None or found[0].name != name:
            raise ImageFailed(f"{file} holds no image that this version can use")
        check(found[0])
        with _locked(name):
            _put(Path(scratch), name)
    taken = _read(images_folder() / name)
    assert taken is not None  # it has just been read
    return taken[0]


def _make(machine: Machine, land: UserLand, watch: Watch) -> Image:
    name = image_name(machine, land)
    packages = packages_for(
        images_folder() / f".apt-{machine.debian_architecture}", machine.suite, machine.debian_architecture
    )
    watch.note(f"fetching the package lists of Debian {machine.suite} for {machine.debian_architecture}")
    packages.update()
    with tempfile.TemporaryDirectory(dir=images_folder(), prefix=".make-") as scratch:
        folder = Path(scratch)
        files = _download(packages, machine, land, folder / "packages", watch)
        watch.note("making the image")
        release, archive = _unpack(files, machine, land, folder)
        with (folder / "initrd").open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            packed.write(archive.data())
        document = {
            "form": FORM,
            "name": name,
            "recipe": _recipe(machine, land),
            "kernel_release": release,
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "packages": [f"{path.stem.replace('%3a', ':')} {_sha256(path)}" for path in files],
            "sha256": {each: _sha256(folder / each) for each in _NAMES},
        }
        (folder / "image.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
        shutil.rmtree(folder / "packages")
        _put(folder, name)
    made = _read(images_folder() / name)
    assert made is not None  # it has just been written
    return made[0]


def _download(packages: Packages, machine: Machine, land: UserLand, into: Path, watch: Watch) -> list[Path]:
    kernel = packages.kernel_of(machine.kernel_package)
    names = [kernel, *packages.closure(land.packages), *land.lone_packages]
    watch.note(f"downloading {len(names)} packages, {kernel} among them")
    return packages.download(names, into, watch.progress)


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


def _recipe(machine: Machine, land: UserLand) -> str:
    """What decides whether an image is up to date: what goes into it, and not how QEMU is started."""
    kernel = (machine.name, machine.suite, machine.debian_architecture, machine.kernel_package, machine.modules)
    parts = (FORM, kernel, land.packages, land.lone_packages, _BOOT_MODULES, _EXTRA_MODULES)
    digest = hashlib.sha256(repr(parts).encode())
    own = Archive()
    land.add_own(own)
    digest.update(own.data())
    return digest.hexdigest()


def _read(folder: Path) -> tuple[Image, str] | None:
    """The image and its recipe; None where there is none, or one of another form."""
    try:
        document: dict[str, Any] = json.loads((folder / "image.json").read_text(encoding="utf-8"))
        if document["form"] != FORM or any(not (folder / name).is_file() for name in _NAMES):
            return None
        image = Image(
            name=str(document["name"]),
            folder=folder,
            kernel_release=str(document["kernel_release"]),
            made_at=str(document["made_at"]),
            packages=tuple(str(each) for each in document["packages"]),
            hashes={name: str(document["sha256"][name]) for name in _NAMES},
        )
        return image, str(document["recipe"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _put(scratch: Path, name: str) -> None:
    """Put what was made where it is looked for; a board that runs from the old one keeps its open files."""
    target = images_folder() / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    for each in (*_NAMES, "image.json"):
        (scratch / each).replace(target / each)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(name: str, wait_s: float = _LOCK_S) -> Iterator[None]:
    """One maker of an image at a time (flock(2))."""
    images_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    until = time.monotonic() + wait_s
    with (images_folder() / f".{name}.lock").open("w") as file:
        while not _try_lock(file.fileno()):
            if time.monotonic() >= until:
                raise ImageFailed(f"another command is making the image {name}, and has not ended in {wait_s:g} s")
            time.sleep(_LOCK_PAUSE_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
