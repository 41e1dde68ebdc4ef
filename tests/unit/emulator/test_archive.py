"""What goes into a first root comes out again, read by a reader of the tests' own and by the real cpio."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cpio import entries
from hypothesis import given
from hypothesis import strategies as st

from deploy.emulator.archive import Archive

names = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..", "TRAILER!!!")
)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
files = st.dictionaries(paths, st.tuples(st.binary(max_size=70), st.integers(0, 0o777)), max_size=8).filter(
    lambda chosen: not any(other.startswith(f"{path}/") for path in chosen for other in chosen)
)


@given(files)
def test_every_file_comes_back_as_it_went_in_owned_by_root(chosen: dict[str, tuple[bytes, int]]) -> None:
    archive = Archive()
    for path, (data, mode) in chosen.items():
        archive.file(path, data, mode)
    read = [entry for entry in entries(archive.data()) if stat.S_ISREG(entry.mode)]
    assert {entry.path: (entry.data, stat.S_IMODE(entry.mode)) for entry in read} == chosen
    assert len(read) == len(chosen)
    assert {entry.owner for entry in read} <= {(0, 0)}


@given(files)
def test_a_folder_stands_before_what_is_in_it_and_only_once(chosen: dict[str, tuple[bytes, int]]) -> None:
    archive = Archive()
    for path, (data, mode) in chosen.items():
        archive.file(path, data, mode)
    there: set[str] = set()
    for entry in entries(archive.data()):
        assert entry.path not in there
        parent = entry.path.rpartition("/")[0]
        assert not parent or parent in there
        there.add(entry.path)


def hard_cases() -> Archive:
    archive = Archive()
    archive.folder("dev")
    archive.folder("private", 0o700)
    archive.file("etc/empty", b"")
    archive.file("etc/" + "n" * 250, b"a long name")
    archive.file("etc/odd length", b"12345", 0o600)
    archive.file("init", b"#!/bin/sh\n", 0o755)
    archive.link("bin", "usr/bin")
    archive.link("usr/bin/sh", "busybox")
    return archive


@pytest.mark.install_check
def test_cpio_lists_and_unpacks_the_hard_cases(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("this machine has no cpio; install it: apt-get install cpio")
    data = hard_cases().data()
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=data, capture_output=True, check=True, timeout=30)
    assert listed.stdout.decode().splitlines() == [entry.path for entry in entries(data)]
    assert listed.stderr == b""
    subprocess.run(
        ["cpio", "-i", "--quiet", "--no-absolute-filenames", "--no-preserve-owner"],
        input=data,
        cwd=tmp_path,
        check=True,
        timeout=30,
    )
    assert (tmp_path / "etc/empty").read_bytes() == b""
    assert (tmp_path / "etc" / ("n" * 250)).read_bytes() == b"a long name"
    assert (tmp_path / "etc/odd length").read_bytes() == b"12345"
    assert stat.S_IMODE((tmp_path / "etc/odd length").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "init").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    assert (tmp_path / "bin").readlink() == Path("usr/bin")
    assert (tmp_path / "bin" / "sh").readlink() == Path("busybox")


def test_two_archives_may_stand_one_after_the_other() -> None:
    first, second = hard_cases().data(), Archive().data()
    assert len(first) % 4 == 0
    assert list(entries(second)) == []


def test_only_a_folder_is_asked_for() -> None:
    archive = hard_cases()
    assert archive.has("usr/bin")
    assert archive.has("etc")
    assert not archive.has("init")
    assert not archive.has("us")


@pytest.mark.parametrize("path", ["TRAILER!!!", "TRAILER!!!/below"])
def test_what_the_format_takes_for_its_end_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="TRAILER"):
        Archive().file(path, b"")
