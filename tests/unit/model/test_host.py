"""Hosts as people write them; nothing that a command could take for an option, and no silent half of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.model.host import Host, parse_host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("board", Host("board")),
        ("board.local:2222", Host("board.local", port=2222)),
        ("root@192.168.42.1", Host("192.168.42.1", "root")),
        ("root@192.168.42.1:22", Host("192.168.42.1", "root", 22)),
        ("::1", Host("::1")),
        ("root@fe80::1%usb0", Host("fe80::1%usb0", "root")),
        ("[::1]", Host("::1")),
        ("[fe80::1%eth0.1]:2222", Host("fe80::1%eth0.1", port=2222)),
        ("root@[2001:db8::1]:22", Host("2001:db8::1", "root", 22)),
        ("::ffff:192.0.2.1", Host("::ffff:192.0.2.1")),
        ("user.name-1@my_board", Host("my_board", "user.name-1")),
        ("root@board:65535", Host("board", "root", 65535)),
    ],
)
def test_the_forms_of_a_host(text: str, host: Host) -> None:
    assert parse_host(text) == host
    assert parse_host(str(host)) == host


@pytest.mark.parametrize(
    "text",
    ["", " ", "@", "root@", "@board", "board:", "board:x", "board:0", "board:65536", "board:123456", "a b", "root@a@b",
     "-oProxyCommand=id", "root@-oProxyCommand=id", "-l@board", "[::1", "::1]", "[board]:22", "board/path",
     "ssh://board", "root@board\n", "board:22:33x", "[]:22", "root:password@board", "board:٢٢"],
)  # fmt: skip
def test_what_is_no_host_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        parse_host(text)


names = st.from_regex(r"[a-z][a-z0-9.-]{0,10}[a-z0-9]", fullmatch=True)
addresses = names | st.ip_addresses().map(str)


@given(user=st.none() | names, address=addresses, port=st.none() | st.integers(1, 65535))
def test_every_host_is_read_back_as_it_was_written(user: str | None, address: str, port: int | None) -> None:
    host = Host(address, user, port)
    assert parse_host(str(host)) == host


@given(st.text(max_size=40))
def test_no_text_makes_a_host_that_looks_like_an_option(text: str) -> None:
    try:
        host = parse_host(text)
    except ValueError as error:
        assert repr(text) in str(error)
        return
    assert host.address
    assert not host.address.startswith("-")
    assert not (host.user or "x").startswith("-")
    assert not any(character.isspace() for character in f"{host.user or ''}{host.address}")
