"""Ranges: a line stands for many hosts, in order, and a slip of the finger for none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.fleet.ranges import MOST, expand, is_range


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("edge-[008:010]", "edge-008 edge-009 edge-010"),
        ("edge-[8:10]", "edge-8 edge-9 edge-10"),
        ("db-[a:c].example.org", "db-a.example.org db-b.example.org db-c.example.org"),
        ("n[1:10:4]", "n1 n5 n9"),
        ("r[1:2]-[A:B]", "r1-A r1-B r2-A r2-B"),
        ("root@10.0.0.[1:2]:2222", "root@10.0.0.1:2222 root@10.0.0.2:2222"),
        ("root@[fe80::1]:22", "root@[fe80::1]:22"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("attic", "attic"),
    ],
)
def test_a_range_stands_for_its_hosts_in_order(text: str, hosts: str) -> None:
    assert " ".join(expand(text)) == hosts


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("edge-[3:1]", "ends before it begins"),
        ("edge-[1:9:0]", "has a step of 0"),
        ("edge-[1:x]", r"\[1:x\] is not a range"),
        ("edge-[]", "is not a range"),
        ("edge-[F:a]", "ends before it begins"),
        ("edge-[1:3", "do not pair"),
        ("edge-1]", "do not pair"),
        ("[1:200]-[1:101]", "more than 20,000"),
        ("[0:999999999]", "more than 20,000"),
        ("[1:999999999999]", "is not a range"),
    ],
)
def test_what_is_no_range_is_told_in_a_sentence(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        expand(text)


def test_a_name_with_an_ipv6_address_is_no_range() -> None:
    assert is_range("edge-[1:3]")
    assert not is_range("root@[::1]:22")
    assert not is_range("edge")


@given(st.integers(0, 500), st.integers(0, 300), st.integers(1, 9), st.integers(1, 6))
def test_numbers_come_out_as_counting_gives_them(first: int, more: int, step: int, width: int) -> None:
    written = f"{first:0{width}}"
    expected = [
        f"h{number:0{len(written)}}" if written.startswith("0") else f"h{number}"
        for number in range(first, first + more + 1, step)
    ]
    assert list(expand(f"h[{written}:{first + more}:{step}]")) == expected


@given(st.text(alphabet="[]:0123456789abZ-.@", max_size=40))
def test_no_text_is_more_than_it_may_be_or_ends_otherwise(text: str) -> None:
    try:
        assert 1 <= len(expand(text)) <= MOST
    except ValueError as error:
        assert str(error)
