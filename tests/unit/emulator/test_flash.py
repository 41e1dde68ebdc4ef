"""A board's flash: made once for each size, copied byte for byte with its holes, and never half made."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.emulator import flash

BLOCK = 4096
KIB = 1024


class Maker:
    """Writes to the flash that it is given, and counts."""

    def __init__(self, *, takes_s: float = 0.0, fails: bool = False) -> None:
        self.made: list[Path] = []
        self.takes_s = takes_s
        self.fails = fails

    async def __call__(self, path: Path) -> None:
        self.made.append(path)
        with path.open("r+b") as file:
            file.seek(8 * KIB)
            file.write(b"half")
            await asyncio.sleep(self.takes_s)
            if self.fails:
                raise RuntimeError("the machine ended")
            file.write(b" and whole")


def provide(path: Path, image: Path, make: Maker, kib: int = 64) -> None:
    asyncio.run(flash.provide(path, kib, image, make))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    folder.mkdir()
    return folder


@settings(max_examples=60, deadline=None)
@given(
    extents=st.lists(st.tuples(st.integers(0, 200 * BLOCK), st.binary(min_size=1, max_size=3 * BLOCK)), max_size=6),
    more=st.integers(0, 100 * BLOCK),
)
def test_a_copy_has_every_byte_and_no_more_blocks_than_were_written(
    extents: list[tuple[int, bytes]], more: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        source.touch()
        target.write_bytes(b"what was there before" * BLOCK)
        target.write_bytes(b"")
        with source.open("r+b") as file:
            for at, data in extents:
                file.seek(at)
                file.write(data)
        os.truncate(source, source.stat().st_size + more)
        flash.copy(source, target)
        assert target.read_bytes() == source.read_bytes()
        os.sync()
        assert target.stat().st_blocks <= source.stat().st_blocks


def test_a_piece_longer_than_one_read_is_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(3 * flash._PIECE_BYTES + 17))
    target.touch()
    flash.copy(source, target)
    assert target.read_bytes() == source.read_bytes()


def test_a_blank_flash_takes_no_space_and_is_its_owners_alone(tmp_path: Path) -> None:
    flash.blank(tmp_path / "flash.img", 32 * KIB)
    about = (tmp_path / "flash.img").stat()
    assert (about.st_size, about.st_blocks, stat.S_IMODE(about.st_mode)) == (32 * KIB * KIB, 0, 0o600)


def test_a_flash_is_made_once_for_each_size_and_each_board_has_a_copy_of_its_own(tmp_path: Path, image: Path) -> None:
    make = Maker()
    for name in ("one", "two"):
        provide(tmp_path / name, image, make)
    assert len(make.made) == 1
    one, two = tmp_path / "one", tmp_path / "two"
    assert one.read_bytes() == two.read_bytes() == bytes(8 * KIB) + b"half and whole" + bytes(56 * KIB - 14)
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    one.write_bytes(b"what a board wrote")
    provide(tmp_path / "three", image, make)
    assert (tmp_path / "three").read_bytes() == two.read_bytes()
    provide(tmp_path / "larger", image, make, kib=128)
    assert len(make.made) == 2 and (tmp_path / "larger").stat().st_size == 128 * KIB
    assert sorted(path.name for path in image.iterdir()) == ["flash-128.img", "flash-64.img"]


def test_a_flash_that_could_not_be_made_leaves_nothing_and_is_made_the_next_time(tmp_path: Path, image: Path) -> None:
    with pytest.raises(RuntimeError):
        provide(tmp_path / "one", image, Maker(fails=True))
    assert not list(image.iterdir()) and not (tmp_path / "one").exists()
    provide(tmp_path / "one", image, Maker())
    assert (tmp_path / "one").read_bytes()[8 * KIB :].startswith(b"half and whole")


def test_two_boards_that_start_at_the_same_time_each_get_a_whole_flash(tmp_path: Path, image: Path) -> None:
    async def both() -> None:
        make = Maker(takes_s=0.1)
        await asyncio.gather(*(flash.provide(tmp_path / name, 64, image, make) for name in ("one", "two")))
        assert len(set(make.made)) == len(make.made)

    asyncio.run(both())
    for name in ("one", "two"):
        assert (tmp_path / name).read_bytes()[8 * KIB :].startswith(b"half and whole")
    assert [path.name for path in image.iterdir()] == ["flash-64.img"]


def test_a_board_has_its_flash_though_the_image_was_pruned_while_it_was_made(
    tmp_path: Path, image: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make = Maker()

    async def made_and_pruned(path: Path) -> None:
        await make(path)
        image.rmdir()

    asyncio.run(flash.provide(tmp_path / "one", 64, image, made_and_pruned))
    assert (tmp_path / "one").read_bytes()[8 * KIB :].startswith(b"half and whole")
    assert "can't be kept" in caplog.text
