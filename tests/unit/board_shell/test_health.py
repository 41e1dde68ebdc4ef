"""A gateway's own word on its health: read from HTTP and from `status --json`, and nothing else passes for it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.board_shell.health import parse_answer, parse_health, question
from deploy.errors import BadAnswer

TELEGRAM = {"state": "ok", "detail": "", "tls_version": "TLS1.3", "tls_cipher": "TLS_AES_128_GCM_SHA256"}
DOCUMENT: dict[str, Any] = {
    "status": "ready",
    "version": "0.1.0",
    "pid": 4242,
    "uptime_s": 12,
    "inbound": 5,
    "outbound": 4,
    "errors": 1,
    "telegram": TELEGRAM,
}


def answer(status: str = "200 OK", **changes: Any) -> bytes:
    body = json.dumps(DOCUMENT | changes).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n".encode() + body


def test_the_question_is_one_http_request_that_asks_to_be_the_last() -> None:
    lines = question("/ready", 8080).split(b"\r\n")
    assert lines[0] == b"GET /ready HTTP/1.1"
    assert {b"Host: 127.0.0.1:8080", b"Connection: close"} <= set(lines)
    assert lines[-2:] == [b"", b""]


def test_a_ready_gateway_is_read_whole() -> None:
    health = parse_answer(answer())
    assert (health.ready, health.version, health.pid, health.uptime_s) == (True, "0.1.0", 4242, 12)
    assert (health.inbound, health.outbound, health.errors) == (5, 4, 1)
    assert (health.telegram_state, health.tls) == ("ok", "TLS1.3 TLS_AES_128_GCM_SHA256")


def test_over_http_the_status_line_decides_and_without_it_the_document() -> None:
    assert not parse_answer(answer("503 Service Unavailable")).ready
    assert parse_health(json.dumps(DOCUMENT).encode()).ready
    assert not parse_health(json.dumps(DOCUMENT | {"status": "starting"}).encode()).ready
    other = TELEGRAM | {"state": "conflict"}
    assert not parse_health(json.dumps(DOCUMENT | {"telegram": other}).encode()).ready


def test_without_tls_there_is_no_protocol() -> None:
    assert parse_answer(answer(telegram={"state": "connecting"})).tls == ""


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-dropbear\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\n<html>nginx</html>",
        b"HTTP/1.1 200 OK\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\n\r\n\xff",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        answer(pid="x"),
        answer(pid=None),
        answer(inbound=float("inf")),
        answer(errors=float("nan")),
        answer(telegram=None),
        answer(telegram="ok"),
        answer(telegram=TELEGRAM | {"tls_version": 13}),
        answer().replace(b"4242", b"9" * 5000),
        answer().replace(b'"pid"', b'"PID"'),
    ],
)
def test_what_is_no_gateways_answer_is_a_bad_answer(said: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_answer(said)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(key=st.sampled_from(sorted(DOCUMENT)), value=json_values)
def test_whatever_a_member_holds_it_is_health_or_a_bad_answer(key: str, value: object) -> None:
    with suppress(BadAnswer):
        health = parse_answer(answer(**{key: value}))
        assert isinstance(health.pid, int)
        assert isinstance(health.version, str)


@given(st.binary(max_size=60))
def test_whatever_bytes_come_it_is_health_or_a_bad_answer(data: bytes) -> None:
    for parser in (parse_answer, parse_health):
        with pytest.raises(BadAnswer):
            parser(data)
