"""How a board gets to the stand-in where its SSH server forwards nothing, and what is said where it has no way."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from deploy.errors import ForwardRefused, NotReady
from deploy.memory.second_instance import make_token
from deploy.memory.way_here import stand_in
from deploy.transport.protocol import Completed, Script
from deploy.transport.scripted import ScriptedTransport


class NoForwards(ScriptedTransport):
    """A host whose server forwards nothing; `own` is our end of the connection, `called` what the board calls it."""

    def __init__(self, own: str | None, called: str = "") -> None:
        super().__init__({"ask where we come from": called.encode()})
        self.own = own

    @contextmanager
    def lead_back(self, controller_port: int) -> Iterator[int]:
        raise ForwardRefused("the server does not listen for us", self.host, prohibited=True)
        yield controller_port

    def own_address(self) -> str | None:
        return self.own


def reached(base_url: str, ca_pem: bytes) -> str:
    """The protocol of a connection that trusts only that authority, and checks the name."""
    where = urlsplit(base_url)
    context = ssl.create_default_context(cadata=ca_pem.decode())
    plain = socket.create_connection((where.hostname, where.port), timeout=10)
    with context.wrap_socket(plain, server_hostname=where.hostname) as secured:
        return str(secured.version())


@pytest.mark.parametrize(
    ("called", "host"),
    [
        ("127.0.0.1 40000 127.0.0.1 22\n", "127.0.0.1"),
        ("::ffff:127.0.0.1 40000 ::1 22\n", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("$(reboot) x\n", "127.0.0.1"),
        ("127.0.0.2 1 127.0.0.1 22", "127.0.0.2"),
    ],
)
def test_it_listens_where_we_come_from_under_the_boards_name_for_us(called: str, host: str) -> None:
    notes: list[str] = []
    with stand_in(NoForwards("127.0.0.1", called), make_token(), notes.append) as way:
        assert urlsplit(way.base_url).hostname == host
        assert way.way == f"directly, at {host}: the server forwards nothing"
        assert not way.api.was_reached
        if host == "127.0.0.1":
            assert reached(way.base_url, way.api.ca_pem) == "TLSv1.3"
            assert way.api.was_reached
    assert way.base_url in notes[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(way.base_url).port), timeout=5)


def test_the_certificate_is_for_what_the_board_calls_this_machine() -> None:
    with stand_in(NoForwards("127.0.0.1", "192.0.2.9 1 192.0.2.1 22"), make_token(), lambda note: None) as way:
        assert urlsplit(way.base_url).hostname == "192.0.2.9"
        context = ssl.create_default_context(cadata=way.api.ca_pem.decode())
        plain = socket.create_connection(("127.0.0.1", way.api.port), timeout=10)
        with context.wrap_socket(plain, server_hostname="192.0.2.9") as secured:
            assert secured.version() == "TLSv1.3"


@pytest.mark.parametrize(
    ("own", "called", "why"),
    [
        (None, "", "goes by another host"),
        ("192.0.2.1", "", "can't listen at 192.0.2.1"),
        ("127.0.0.1", "fe80::1%eth0 1 fe80::2 22", "link-local"),
    ],
)
def test_where_there_is_no_way_it_says_why(own: str | None, called: str, why: str) -> None:
    with (
        pytest.raises(ForwardRefused, match=why) as refused,
        stand_in(NoForwards(own, called), make_token(), lambda note: None),
    ):
        raise AssertionError("there was a way")
    assert refused.value.prohibited and "does not listen for us" in refused.value.problem


def test_a_gateway_that_never_came_is_told_from_one_that_came_and_is_not_ready() -> None:
    def given_up(*, came: bool) -> None:
        with stand_in(NoForwards("127.0.0.1"), make_token(), lambda note: None) as way:
            if came:
                reached(way.base_url, way.api.ca_pem)
            raise NotReady("it is not ready after 30 s", "root@board", log="")

    with pytest.raises(ForwardRefused, match="does not get to this machine at https://"):
        given_up(came=False)
    with pytest.raises(NotReady):
        given_up(came=True)


def test_a_port_that_leads_back_is_taken_first() -> None:
    with stand_in(ScriptedTransport({}), make_token(), lambda note: None) as way:
        assert way.way == "a port led back through SSH" and way.base_url == f"https://127.0.0.1:{way.api.port}"


def test_is_ready_asks_the_gateway_itself_where_nothing_is_forwarded() -> None:
    from deploy.memory.counters import is_ready
    from deploy.model.layout import Layout

    said = b'{"status": "ok", "version": "1", "pid": 1, "uptime_s": 1, "inbound": 0, "outbound": 0, "errors": 0, '
    said += b'"telegram": {"state": "ok"}}'

    def asked(answer: bytes, *, prohibited: bool) -> bool:
        def answered(script: Script) -> Completed:
            return Completed(0, answer, b"", 0.0)

        refused = ForwardRefused("no", "root@board", prohibited=prohibited)
        board = ScriptedTransport({"ask the gateway for its counters": answered}, requests=[refused])
        return is_ready(board, Layout("/opt/picoclaw"), 8080)

    assert asked(said, prohibited=True)
    assert not asked(said.replace(b'"state": "ok"', b'"state": "connecting"'), prohibited=True)
    assert not asked(b"", prohibited=True)
    assert not asked(said, prohibited=False), "nothing listens there: nobody has to be asked"
