"""A board boots from files of its own: the image in the cache is not asked again, and is not changed by a board."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from deploy.emulator.boot_files import BootFiles


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "kernel").write_bytes(b"a kernel")
    (folder / "initrd").write_bytes(b"a first root")
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Path:
    folder = tmp_path / "board"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(params=["linked", "copied"])
def files(request: pytest.FixtureRequest, board: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> BootFiles:
    def other_file_system(source: Path, target: Path) -> NoReturn:
        raise OSError(18, "Invalid cross-device link")

    if request.param == "copied":
        monkeypatch.setattr(os, "link", other_file_system)
    return BootFiles(board, image)


def test_a_board_keeps_its_files_when_its_image_is_gone_or_another(files: BootFiles, image: Path) -> None:
    shutil.rmtree(image)
    image.mkdir()
    (image / "kernel").write_bytes(b"another kernel")
    files.end_with(b" and keys")
    assert files.kernel.read_bytes() == b"a kernel"
    assert files.initrd.read_bytes() == b"a first root and keys"


def test_what_came_with_the_last_start_is_gone_at_the_next(files: BootFiles, image: Path) -> None:
    files.end_with(b" and long-winded settings")
    files.end_with(b" and keys")
    assert files.initrd.read_bytes() == b"a first root and keys"
    assert (image / "initrd").read_bytes() == b"a first root", "the image is one for all boards"


def test_a_start_that_makes_a_flash_brings_the_system_before_its_settings(files: BootFiles, image: Path) -> None:
    (image / "system").write_bytes(b", a system")
    files.end_with(b" and keys", image / "system")
    assert files.initrd.read_bytes() == b"a first root, a system and keys"
    files.end_with(b" and keys")
    assert files.initrd.read_bytes() == b"a first root and keys"


def test_the_files_are_their_owners_alone(files: BootFiles) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in (files.kernel, files.initrd)} == {0o600}


def test_an_image_that_is_not_there_is_said(board: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        BootFiles(board, tmp_path / "nothing")
