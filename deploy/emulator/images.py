"""Knows how the images of emulated machines are kept in the user's cache: made once, checked, moved, and removed.

What differs from board to board (keys, memory, switches) comes with each start and is in no image. What an image is
made of, and how, is `image_making.py`'s.
"""

from __future__ import annotations

import fcntl
import json
import lzma
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from deploy.build import sha256_of
from deploy.emulator.image import NAMES, Image
from deploy.emulator.image_making import FORM, fetch, image_name, make, recipe
from deploy.emulator.machines import MACHINES, Machine
from deploy.emulator.packages import packages_for
from deploy.emulator.user_lands import USER_LANDS, UserLand
from deploy.emulator.watch import Watch
from deploy.errors import ImageFailed
from deploy.folders import cache_folder

_LOCK_PAUSE_S = 0.2
_LOCK_S = 1800.0
_PRUNE_S = 2.0


class _Nobody:
    def note(self, text: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass


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
        if found is not None and found[1] == recipe(machine, land):
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
        if sha256_of(image.folder / name) != expected:
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
            for file in ("image.json", *NAMES):
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
                for each in ("image.json", *NAMES):
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
    architecture = machine.debian_architecture
    root = images_folder() / f".apt-{architecture}"
    packages = packages_for(root, machine.suite, architecture)
    name = image_name(machine, land)
    with tempfile.TemporaryDirectory(dir=images_folder(), prefix=".make-") as scratch:
        folder = Path(scratch)
        with _locked(f"apt-{architecture}"):  # the APT root is one for all user lands of an architecture
            files = fetch(packages, machine, land, folder / "packages", watch)
        watch.note("making the image")
        make(files, machine, land, folder)
        shutil.rmtree(folder / "packages")
        _put(folder, name)
    made = _read(images_folder() / name)
    assert made is not None  # it has just been written
    return made[0]


def _read(folder: Path) -> tuple[Image, str] | None:
    """The image and its recipe; None where there is none, or one of another form."""
    try:
        document: dict[str, Any] = json.loads((folder / "image.json").read_text(encoding="utf-8"))
        if document["form"] != FORM or any(not (folder / name).is_file() for name in NAMES):
            return None
        image = Image(
            name=str(document["name"]),
            folder=folder,
            kernel_release=str(document["kernel_release"]),
            made_at=str(document["made_at"]),
            packages=tuple(str(each) for each in document["packages"]),
            hashes={name: str(document["sha256"][name]) for name in NAMES},
        )
        return image, str(document["recipe"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _put(scratch: Path, name: str) -> None:
    """Put what was made where it is looked for; a board that runs from the old one keeps its open files."""
    target = images_folder() / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    for each in (*NAMES, "image.json"):
        (scratch / each).replace(target / each)


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
