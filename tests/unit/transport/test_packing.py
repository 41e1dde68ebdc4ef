"""A file is compressed while it travels: what comes out unpacks to the very part that was asked for."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest
from shells import BusyBoxTransport

from deploy.board_shell.push import UNPACKED_BY
from deploy.transport.packing import can_pack, pack
from deploy.transport.protocol import PACKINGS, Packed, Script

CONTENT = b"".join(b"%d: the same words again and again\n" % number for number in range(20_000))
START = 300_001


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def unpack(how: str, data: bytes) -> bytes:
    match how:
        case "gzip":
            return gzip.decompress(data)
        case "xz":
            return lzma.decompress(data)
        case "zstd":
            if shutil.which("zstd") is None:
                pytest.skip("zstd is not installed (apt-get install zstd)")
            return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


@pytest.mark.parametrize("how", PACKINGS)
def test_what_unpacks_is_the_part_that_was_asked_for(how: str, file: Path) -> None:
    if not can_pack(how):
        pytest.skip(f"this Python has no module for {how} (pip install 'slimdeploy[zstd]')")
    pieces = list(pack(Packed(file, how, 100_000, START), 1000))
    assert unpack(how, b"".join(piece for piece, _ in pieces)) == CONTENT[START : START + 100_000]
    assert all(0 < len(piece) <= 1000 for piece, _ in pieces)
    done = [count for _, count in pieces]
    assert done == sorted(done) and done[-1] == 100_000


def test_a_file_that_can_not_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(pack(Packed(tmp_path / "none", "gzip", 1), 1000))


@pytest.mark.install_check
@pytest.mark.parametrize("how", ["", "gzip", "xz"])
def test_busybox_unpacks_it(how: str, file: Path, tmp_path: Path) -> None:
    board = BusyBoxTransport(tmp_path / "applets")
    script = Script("unpack", UNPACKED_BY[how], payload=Packed(file, how, len(CONTENT)))
    assert board.run(script).stdout == CONTENT
