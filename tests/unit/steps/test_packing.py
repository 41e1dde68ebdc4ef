"""A slow link gets what is smallest, a fast one what is quickly done."""

from __future__ import annotations

import pytest

from deploy.board_shell.push import UNPACKED_BY
from deploy.steps.packing import PACKINGS, UNPACKERS, best, seconds, usual
from deploy.transport import protocol

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("link_bytes_s", "ways", "chosen"),
    [
        (12_000, {"", "gzip", "xz", "zstd"}, "xz"),
        (500_000, {"", "gzip", "xz"}, "xz"),
        (500_000, {"", "gzip", "zstd"}, "zstd"),
        (500_000, {""}, ""),
        (3_000_000, {"", "gzip", "xz"}, "gzip"),
        (3_000_000, {"", "gzip", "xz", "zstd"}, "zstd"),
        (200_000_000, {"", "gzip", "xz", "zstd"}, ""),
    ],
)
def test_the_way_is_the_fastest_on_such_a_link(link_bytes_s: float, ways: set[str], chosen: str) -> None:
    assert best(ways, 5 * MIB, link_bytes_s) == chosen
    assert all(seconds(chosen, MIB, link_bytes_s) <= seconds(way, MIB, link_bytes_s) for way in ways)


def test_every_way_has_its_unpacker_and_its_figures() -> None:
    assert set(PACKINGS) == set(UNPACKED_BY) == set(protocol.PACKINGS) == {"", *UNPACKERS}


def test_without_a_look_at_the_link_it_is_what_costs_little() -> None:
    assert [usual(ways) for ways in ([""], ["", "xz"], ["", "xz", "gzip"], ["", "gzip", "zstd"])] == [
        "",
        "xz",
        "gzip",
        "zstd",
    ]
