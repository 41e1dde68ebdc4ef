"""Files with keys and tokens are for their owner alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.emulator import private_files


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_0600_and_never_takes_anothers_place(tmp_path: Path) -> None:
    private_files.create(tmp_path / "key", b"secret")
    assert mode(tmp_path / "key") == 0o600
    with pytest.raises(FileExistsError):
        private_files.create(tmp_path / "key", b"other")
    assert (tmp_path / "key").read_bytes() == b"secret"


def test_a_link_that_lies_in_wait_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        private_files.create(tmp_path / "key", b"secret")
    assert not (tmp_path / "elsewhere").exists()


def test_written_anew_and_written_on_are_0600_too(tmp_path: Path) -> None:
    for data in (b"a long first text", b"short"):
        with private_files.replacing(tmp_path / "new") as file:
            file.write(data)
        with private_files.appending(tmp_path / "on") as file:
            file.write(data)
    assert (tmp_path / "new").read_bytes() == b"short"
    assert (tmp_path / "on").read_bytes() == b"a long first textshort"
    assert mode(tmp_path / "new") == mode(tmp_path / "on") == 0o600
