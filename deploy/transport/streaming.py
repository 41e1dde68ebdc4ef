"""Knows how what a script prints becomes lines while it still runs: bounded, each within its time.

Where the bytes come from (a channel, a pipe) is the transports' business; what the lines say is their callers'.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from deploy.errors import BadAnswer, ConnectionLost, DeadlineExceeded

MOST_LINE_BYTES = 4096
"""A longer line is no answer to anything that is asked so."""

MOST_PIECE_BYTES = 16 * 1024
"""What is taken at once; a stream that nobody reads stays in the channel's window, and stops the board's writing."""

Receive = Callable[[float], bytes]
"""What has come, waiting so many seconds at most; b"" at the end. Raises TimeoutError."""


def lines(
    receive: Receive, quiet_s: float, what: str, host: str, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[bytes]:
    """The whole lines, without their ends; what stands after the last one is dropped, because it is cut short.

    Raises DeadlineExceeded where no line ends within `quiet_s` seconds of the one before, BadAnswer for a line of more
    than 4 KiB, and what `receive` raises.
    """
    held = b""
    until = clock() + quiet_s
    while True:
        try:
            piece = receive(max(until - clock(), 0.001))
        except TimeoutError as error:
            raise DeadlineExceeded(f"nothing came for {quiet_s:g} s while it was to {what}", host) from error
        if not piece:
            return
        *whole, held = (held + piece).split(b"\n")
        if any(len(line) > MOST_LINE_BYTES for line in (*whole, held)):
            raise BadAnswer(f"a line of more than {MOST_LINE_BYTES} bytes came while it was to {what}", host)
        yield from whole
        if whole:
            until = clock() + quiet_s


def of_channel(channel: Any, what: str, host: str) -> Receive:
    """What comes through a Paramiko channel. Raises ConnectionLost where its end is the connection's, not the script's.

    A script that has ended is told by the end of its output, or by its exit status (RFC 4254, sections 5.3 and 6.10).
    """

    def receive(seconds: float) -> bytes:
        channel.settimeout(seconds)
        piece: bytes = channel.recv(MOST_PIECE_BYTES)
        if not piece and not channel.eof_received and channel.exit_status < 0:
            raise ConnectionLost(f"the connection broke while it was to {what}", host)
        return piece

    return receive
