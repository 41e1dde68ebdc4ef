"""Images of emulated machines, made once for all workers of a run; and machines, some at a time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from emulated_board import EmulatedBoard, ImageOf, gone, slot

from deploy.emulator import qemu
from deploy.emulator.images import image_for
from deploy.emulator.machines import machine_called
from deploy.emulator.user_lands import BUSYBOX, user_land_called
from deploy.errors import ImageFailed, Unsupported

CACHE_VARIABLE = "SLIMDEPLOY_EMULATED_CACHE"
"""A folder in which images stay from one run to the next."""


@pytest.fixture(scope="session")
def emulated_cache(shared_folder: Path, session_go_cache: Path) -> Path:
    if kept := os.environ.get(CACHE_VARIABLE):
        folder = Path(kept)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    folder = shared_folder / "emulated"
    (folder / "cache").mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        (folder / "cache" / "go-build").symlink_to(session_go_cache)
    return folder


@pytest.fixture(scope="session")
def image_of(emulated_cache: Path) -> ImageOf:
    """The image's folder; a skip where this machine or the network has not what it takes."""
    refused: dict[tuple[str, str], str] = {}

    def find(name: str, land: str = BUSYBOX.name) -> Path:
        if (name, land) not in refused:
            try:
                machine = machine_called(name)
                qemu.program_of(machine)
                with pytest.MonkeyPatch.context() as own:
                    own.setenv("SLIMDEPLOY_HOME", str(emulated_cache))
                    return image_for(machine, user_land_called(land)).folder
            except Unsupported as error:
                refused[name, land] = str(error)
            except ImageFailed as error:
                if not error.log:
                    raise  # nothing that APT said: a fault of ours
                refused[name, land] = (
                    f"{error}; try again later, or bring images in {CACHE_VARIABLE}. APT said: {error.log}"
                )
        pytest.skip(refused[name, land])

    return find


@pytest.fixture(scope="session", params=["riscv64", "arm64", "armv7", "mipsle"])
def board(request: pytest.FixtureRequest, image_of: ImageOf, emulated_cache: Path) -> Iterator[EmulatedBoard]:
    """A board of 64 MiB of each architecture, for all tests that leave it as it was; its end is a test too."""
    yield from a_board(request.param, image_of, emulated_cache)


@pytest.fixture
def new_board(image_of: ImageOf, emulated_cache: Path) -> Iterator[EmulatedBoard]:
    """A riscv64 board of 64 MiB for one test alone, which may leave it as it likes."""
    yield from a_board("riscv64", image_of, emulated_cache)


def a_board(machine: str, image_of: ImageOf, emulated_cache: Path) -> Iterator[EmulatedBoard]:
    image = image_of(machine)
    with slot(emulated_cache):
        folder = Path(tempfile.mkdtemp(prefix="emulated-"))
        try:
            made = EmulatedBoard(folder / "board", machine, image)
            try:
                yield made
                children = made.qemu
            finally:
                made.stop()
            assert made.daemon.returncode == 0, made.words()
            assert len(children) == 1
            assert gone(children[0])
        finally:
            shutil.rmtree(folder)
