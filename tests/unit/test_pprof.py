"""`go tool pprof` shows a profile: one that is written here by hand, so that its figures are known."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from deploy.errors import BuildFailed
from deploy.pprof import top
from deploy.toolchain import find


@pytest.fixture(autouse=True)
def compiled_once(private_home: Path, session_go_cache: Path) -> None:
    """The tool is there in source only; what it is compiled to stays for the next test that needs it."""
    cache = private_home / "slimdeploy" / "cache"
    cache.mkdir(parents=True)
    (cache / "go-build").symlink_to(session_go_cache)


def varint(value: int) -> bytes:
    """Base 128, low groups first (protobuf.dev/programming-guides/encoding)."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def profile() -> bytes:
    """profile.proto of github.com/google/pprof: two kinds of value, three functions, two stacks."""
    texts = ["", "inuse_space", "bytes", "main.keep", "main.main", "runtime/pprof.writeHeap"]
    kinds = part(1, number(1, 1) + number(2, 2))
    functions = b"".join(part(5, number(1, at) + number(2, text)) for at, text in ((1, 3), (2, 4), (3, 5)))
    locations = b"".join(part(4, number(1, at) + part(4, number(1, at))) for at in (1, 2, 3))
    samples = part(2, part(1, varint(1) + varint(2)) + part(2, varint(1536 * 1024)))
    samples += part(2, part(1, varint(3) + varint(2)) + part(2, varint(4096 * 1024)))
    strings = b"".join(part(6, text.encode()) for text in texts)
    return gzip.compress(kinds + samples + locations + functions + strings)


def test_what_is_in_use_is_shown_function_by_function_without_the_profilers_own(tmp_path: Path) -> None:
    file = tmp_path / "a heap's.pb.gz"
    file.write_bytes(profile())
    shown = top(file, find(), rows=5, sample="inuse_space")
    lines = [line.split() for line in shown.splitlines()]
    assert ["1.50MB", "27.27%", "27.27%", "1.50MB", "27.27%", "main.keep"] in lines, shown
    assert "writeHeap" not in shown
    assert [path for path in tmp_path.iterdir() if path.is_file()] == [file]


def test_what_is_no_profile_is_said_with_the_tools_own_words(tmp_path: Path) -> None:
    file = tmp_path / "heap"
    file.write_bytes(b"<html>")
    with pytest.raises(BuildFailed) as failed:
        top(file, find(), rows=5, sample="inuse_space")
    assert "go tool pprof ended with status" in failed.value.problem and "heap" in failed.value.output
