"""Knows HTTP/1.1 as far as a bot's client speaks it: one bounded request in, one response out. TLS is asyncio's.

Sizes and times are limited because whatever connects is a stranger. Formats: RFC 9112 (sections 2 to 7).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from email.utils import formatdate
from http.client import responses
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HEAD_BYTES = 16 * 1024
BODY_BYTES = 1024 * 1024
IDLE_S = 120.0
"""How long a connection may stay without a request."""
READ_S = 20.0
"""How long a request may take from its first byte to its last."""


def reason(status: int) -> str:
    """The phrase of that status (RFC 9110, section 15)."""
    return responses.get(status, "Unknown")


class Malformed(Exception):
    """The request can't be answered in its own terms; `status` says why, and the connection ends."""

    def __init__(self, status: int) -> None:
        super().__init__(reason(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case, `path` and `query` as they were sent (percent-encoded)."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class EndAwareReader(asyncio.StreamReader):
    """A stream reader that says when its peer went away while nobody reads, as in a long poll."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=HEAD_BYTES, loop=loop)
        self.ended: asyncio.Future[None] = loop.create_future()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def feed_eof(self) -> None:
        """The peer closed its side."""
        super().feed_eof()
        self._end()

    def set_exception(self, exc: BaseException | type[BaseException]) -> None:
        """The connection broke."""
        super().set_exception(exc)  # type: ignore[arg-type]
        self._end()


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request, or None where the connection ended or stayed idle. Raises Malformed."""
    try:
        async with asyncio.timeout(IDLE_S):
            first = await reader.readexactly(1)
        async with asyncio.timeout(READ_S):
            return await _read(first, reader, writer)
    except asyncio.LimitOverrunError:
        raise Malformed(431) from None
    except TimeoutError:
        return None
    except (asyncio.IncompleteReadError, OSError):
        return None


async def _read(first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = first + await reader.readuntil(b"\r\n\r\n")
    # An empty line before a request is to be ignored (RFC 9112, 2.2).
    lines = head.decode("latin-1").lstrip("\r\n").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise Malformed(400)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if not line:
            break
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or name.lower() in headers:
            raise Malformed(400)
        headers[name.lower()] = value.strip()
    if parts[2] == "HTTP/1.1" and "host" not in headers:
        raise Malformed(400)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(headers, reader)
    target = urlsplit(parts[1])
    connection = headers.get("connection", "").lower()
    keep_alive = "close" not in connection if parts[2] == "HTTP/1.1" else "keep-alive" in connection
    return Request(parts[0], target.path, target.query, headers, body, keep_alive)


async def _read_body(headers: dict[str, str], reader: asyncio.StreamReader) -> bytes:
    coding = headers.get("transfer-encoding", "").lower()
    if coding:
        if coding != "chunked" or "content-length" in headers:
            raise Malformed(400)
        return await _read_chunks(reader)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        raise Malformed(400)
    if int(length) > BODY_BYTES:
        raise Malformed(413)
    return await reader.readexactly(int(length))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise Malformed(400) from None
        if size < 0 or len(body) + size > BODY_BYTES:
            raise Malformed(413)
        if size == 0:
            break
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise Malformed(400)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


def parameters(request: Request) -> dict[str, Any]:
    """The call's parameters: those of the query, and over them those of a JSON, form or multipart body.

    Raises Malformed where a body that says to be JSON is none.
    """
    found: dict[str, Any] = dict(parse_qsl(request.query, keep_blank_values=True))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not request.body:
        return found
    if kind == "application/json":
        try:
            given = json.loads(request.body)
        except ValueError:
            raise Malformed(400) from None
        if not isinstance(given, dict):
            raise Malformed(400)
        return found | given
    if kind == "application/x-www-form-urlencoded":
        return found | dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    if kind == "multipart/form-data":
        return found | _multipart(request)
    return found


def _multipart(request: Request) -> dict[str, str]:
    """The fields of a form as RFC 7578 has it; files aren't asked for by any method here and are passed over."""
    from email import message_from_bytes

    whole = message_from_bytes(f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode() + request.body)
    fields: dict[str, str] = {}
    for part in whole.get_payload() if whole.is_multipart() else ():
        if isinstance(part, str) or part.get_filename() is not None:
            continue
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            fields[name] = value.decode("utf-8", "replace")
    return fields


def render_response(status: int, body: bytes, *, keep_alive: bool, content_type: str = "application/json") -> bytes:
    """A whole response. Its header fields are those of api.telegram.org: a client's buffer is filled as there."""
    head = (
        f"HTTP/1.1 {status} {reason(status)}\r\n"
        "Server: slimdeploy\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n"
        "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"
        "Access-Control-Allow-Origin: *\r\n"
        "Access-Control-Expose-Headers: Content-Length,Content-Type,Date,Server,Connection\r\n\r\n"
    )
    return head.encode() + body
