"""Knows how to ask a gateway about its health and read the answer; the channel it travels on is the transport's.

The gateway answers `GET /ready` and `GET /health` with one JSON document (200, or 503 while it is not ready).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from deploy.errors import BadAnswer


@dataclass(frozen=True, slots=True)
class Health:
    """What a gateway says of itself. Counters are since its start."""

    ready: bool
    version: str
    pid: int
    uptime_s: int
    inbound: int
    """User messages received through getUpdates."""
    outbound: int
    """Replies that Telegram accepted."""
    errors: int
    telegram_state: str
    """"ok", "connecting", "unauthorized", "conflict" or "error"."""
    telegram_detail: str
    tls: str
    """Protocol and cipher of the connection to the Bot API, "" without TLS."""


def question(path: str, port: int) -> bytes:
    """One HTTP/1.1 request (RFC 9112) after whose answer the gateway closes the connection."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()


def parse_answer(answer: bytes) -> Health:
    """The health in one HTTP answer. Raises BadAnswer where something other than a gateway answers."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    status_line = head.split(b"\r\n")[0].split(b" ", 2)
    if not separator or len(status_line) < 2 or not status_line[0].startswith(b"HTTP/1."):
        raise BadAnswer("what listens on the health port does not speak HTTP", detail=repr(answer[:80]))
    return parse_health(body, ready=status_line[1] == b"200")


def parse_health(document: bytes, *, ready: bool | None = None) -> Health:
    """The health in the JSON document itself, as `picoclaw status --json` prints it too.

    `ready` is what the HTTP status said; without one, the document's own "status" tells. Raises BadAnswer.
    """
    try:
        found = json.loads(document)
        telegram = found["telegram"]
        tls = " ".join(part for part in (telegram.get("tls_version", ""), telegram.get("tls_cipher", "")) if part)
        return Health(
            ready=found["status"] in ("ok", "ready") and telegram["state"] == "ok" if ready is None else ready,
            version=str(found["version"]),
            pid=int(found["pid"]),
            uptime_s=int(found["uptime_s"]),
            inbound=int(found["inbound"]),
            outbound=int(found["outbound"]),
            errors=int(found["errors"]),
            telegram_state=str(telegram["state"]),
            telegram_detail=str(telegram.get("detail", "")),
            tls=str(tls),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadAnswer("what listens on the health port is not a gateway", detail=repr(document[:80])) from error
