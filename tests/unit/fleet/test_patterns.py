"""--limit: who is meant, against a model of plain sets; and a part that means nobody is told, with what comes near."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.cli.cures import cure
from deploy.errors import UnknownName, UsageError
from deploy.fleet.patterns import select
from deploy.model.fleet import Inventory, Member
from deploy.model.host import Host

FLEET = {
    "edge-001": {"riscv", "hall-2"},
    "edge-002": {"riscv", "hall-2"},
    "edge-003": {"riscv", "hall-3"},
    "edge-007": {"riscv", "hall-2"},
    "attic": {"arm"},
    "cellar": {"arm", "hall-2"},
    "desk": set(),
    "127.0.0.1:2201": {"loopback"},
    "127.0.0.1:2202": {"loopback"},
    "fe80::1": set(),
}
GROUPS = sorted(set().union(*FLEET.values()))
INVENTORY = Inventory(
    tuple(Member(name, Host(f"h{n}"), groups=frozenset(groups)) for n, (name, groups) in enumerate(FLEET.items())),
    "fleet.toml",
)


def names(pattern: str) -> str:
    return " ".join(member.name for member in select(INVENTORY, pattern))


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("riscv:&hall-2:!edge-007", "edge-001 edge-002"),
        ("!edge-007:&hall-2:riscv", "edge-001 edge-002"),
        ("riscv,&hall-2,!edge-007", "edge-001 edge-002"),
        ("attic, desk", "attic desk"),
        ("desk:attic", "attic desk"),
        ("!riscv:!loopback", "attic cellar desk fe80::1"),
        ("&arm", "attic cellar"),
        ("edge-*:!*-002", "edge-001 edge-003 edge-007"),
        ("edge-00[12]", "edge-001 edge-002"),
        ("hall-?:&arm", "cellar"),
        ("~edge-00[1-3]", "edge-001 edge-002 edge-003"),
        ("~(?:attic|desk)", "attic desk"),
        (r"~edge-\d{1,3}$,desk", "edge-001 edge-002 edge-003 edge-007 desk"),
        ("riscv[0]", "edge-001"),
        ("riscv[-1]", "edge-007"),
        ("riscv[0:1]", "edge-001 edge-002"),
        ("riscv[2:]", "edge-003 edge-007"),
        ("riscv[-2:]", "edge-003 edge-007"),
        ("edge-*[0:1]", "edge-001 edge-002"),
        ("edge-[002:099]", "edge-002 edge-003 edge-007"),
        ("127.0.0.1:2202:attic", "attic 127.0.0.1:2202"),
        ("loopback:!127.0.0.1:2202", "127.0.0.1:2201"),
        ("fe80::1", "fe80::1"),
        ("ungrouped", "desk fe80::1"),
        ("riscv:&arm", ""),
    ],
)
def test_the_members_that_a_pattern_means_come_in_the_order_of_the_file(pattern: str, meant: str) -> None:
    assert names(pattern) == meant


@pytest.mark.parametrize("pattern", ["all", "*", "", " , "])
def test_all_of_them(pattern: str) -> None:
    assert names(pattern) == " ".join(FLEET)


def test_what_is_known_is_named_with_some_of_the_hosts_and_not_with_thousands() -> None:
    for pattern in ("nosuch", "~^nosuch"):
        with pytest.raises(UnknownName) as caught:
            select(INVENTORY, pattern)
        assert {"all", "ungrouped", "riscv", *FLEET} <= set(caught.value.known)
        assert "edge-001" in cure(caught.value)
    many = cure(UnknownName("host or group", "nosuch", known=[f"h{number:04}" for number in range(1040)]))
    assert many.startswith("Known are: h0000, ") and many.endswith(", h0039 and 1,000 more.")


@pytest.mark.parametrize("pattern", ["ricsv", "riscv:!ricsv", "riscv:&ricsv", "riscv,ricsv"])
def test_a_part_that_means_nobody_is_told_with_what_comes_near(pattern: str) -> None:
    with pytest.raises(UnknownName) as caught:
        select(INVENTORY, pattern)
    assert caught.value.name == "ricsv"
    assert caught.value.near[0] == "riscv"


@pytest.mark.parametrize(
    "pattern", ["~[", "riscv[9]", "riscv[4:]", "!", "riscv:&", "moon-*", "~moon", "x[5:1]", "a[0]"]
)
def test_what_can_not_be_read_is_an_error_in_how_it_was_asked(pattern: str) -> None:
    with pytest.raises(UsageError):
        select(INVENTORY, pattern)


def model(part: str) -> set[str]:
    """What a part without a sign means, the slow way."""
    if part in ("all", "*"):
        return set(FLEET)
    if part.startswith("~"):
        return {name for name, groups in FLEET.items() if any(re.match(part[1:], each) for each in (name, *groups))}
    return {name for name, groups in FLEET.items() if any(fnmatch.fnmatchcase(each, part) for each in (name, *groups))}


PARTS = st.sampled_from([*FLEET, *GROUPS, "all", "*", "edge-*", "hall-?", "*a*", "~edge", "~.*2$"])


@given(st.lists(st.tuples(st.sampled_from(["", "&", "!"]), PARTS), min_size=1, max_size=6), st.sampled_from(":,"))
def test_every_pattern_means_what_sets_would(parts: list[tuple[str, str]], separator: str) -> None:
    unions = [model(part) for sign, part in parts if not sign]
    expected = set().union(*unions) if unions else set(FLEET)
    for sign, part in parts:
        if sign == "&":
            expected &= model(part)
        elif sign == "!":
            expected -= model(part)
    pattern = separator.join(sign + part for sign, part in parts)
    assert names(pattern) == " ".join(name for name in FLEET if name in expected)


@given(st.text(alphabet="edg-0123*?[]():,&!~\\ {}|+^$", max_size=30))
def test_no_pattern_ends_in_anything_but_a_selection_or_a_usage_error(pattern: str) -> None:
    try:
        assert all(member in INVENTORY.members for member in select(INVENTORY, pattern))
    except UsageError as error:
        assert error.problem
