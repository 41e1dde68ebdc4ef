"""Knows how a heap profile comes from a board: of a second instance with Go's profiler in it, or of the gateway itself.

Go serves profiles over HTTP (net/http/pprof); here that is on the board's 127.0.0.1, and reached through SSH.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from deploy.errors import BadAnswer, ForwardRefused
from deploy.memory.live import Load
from deploy.model.layout import Layout
from deploy.telegram.counts import BurstCount
from deploy.telegram.user_side import UserSide
from deploy.transport.protocol import Transport

_SLACK_S = 30.0
_GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file (RFC 1952, section 2.3.1)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What came: gzip of Go's profile.proto, and the messages that went before it, or beside it."""

    data: bytes
    count: BurstCount | None


def has_profiler(transport: Transport, layout: Layout, port: int) -> bool:
    """Whether the gateway under `layout` answers as Go's profiler on that port, and not somebody else.

    It tells its command line (/debug/pprof/cmdline, words with NUL between): the first word is what was started.
    """
    try:
        words = _asked(transport, port, "/debug/pprof/cmdline", 10.0).split(b"\0")
    except (ForwardRefused, BadAnswer):
        return False
    return words[0].decode("utf-8", "replace") == f"{layout.current}/{layout.name}"


def heap(transport: Transport, port: int, seconds: int) -> bytes:
    """The heap profile: what is in use after a collection of garbage, or what was allocated within so many `seconds`.

    Raises BadAnswer for what is no whole profile, ForwardRefused, and what the transport raises.
    """
    query = f"seconds={seconds}" if seconds else "gc=1"
    data = _asked(transport, port, f"/debug/pprof/heap?{query}", seconds + _SLACK_S)
    if not data.startswith(_GZIP):
        raise BadAnswer("the profiler sent something else than a profile", transport.host, detail=repr(data[:80]))
    try:
        gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise BadAnswer("the profile came in part only", transport.host) from error
    return data


def heap_under_load(
    transport: Transport,
    users: UserSide,
    port: int,
    load: Load,
    seconds: int,
    progress: Callable[[int, int], None],
) -> Profile:
    """The profile after the messages of `load` or, with `seconds`, while they come in."""

    def burst() -> BurstCount:
        return users.burst(
            load.messages, kinds=load.kinds, rate_hz=load.rate_hz, deadline_s=load.deadline_s, progress=progress
        )

    if not seconds:
        count = burst()
        return Profile(heap(transport, port, 0), count)
    counted: list[BurstCount] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            counted.append(burst())
        except BaseException as error:
            failed.append(error)

    sending = threading.Thread(target=run, name="load", daemon=True)
    sending.start()
    data = heap(transport, port, seconds)
    sending.join(load.deadline_s)
    if failed:
        raise failed[0]
    return Profile(data, counted[0] if counted else None)


def _asked(transport: Transport, port: int, path: str, deadline_s: float) -> bytes:
    """The body of the answer. HTTP/1.0 (RFC 1945) has no chunks, and the connection's end is the body's."""
    request = f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    head, separator, body = transport.request(port, request, deadline_s).partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].split(b" ", 2)
    if not separator or len(status) < 2 or not status[0].startswith(b"HTTP/1."):
        raise BadAnswer(f"what listens on port {port} does not speak HTTP", transport.host, detail=repr(head[:80]))
    if status[1] != b"200":
        said = body[:200].decode("utf-8", "replace").strip()
        raise BadAnswer(f"the profiler answers {status[1].decode('ascii', 'replace')}", transport.host, detail=said)
    return body
