"""Knows what an SSH server says before anybody logs in: its identification (RFC 4253, section 4.2). Nothing is sent."""

from __future__ import annotations

import time

from deploy.errors import Unreachable
from deploy.model.display import clean
from deploy.transport.dialling import dial

_MOST_BYTES = 4096
"""A line has 255 at most; others may stand before it."""


def greeting(address: str, port: int, timeout_s: float) -> str:
    """The line that begins with SSH-, safe to show; "" where none comes in time, or nobody listens."""
    until_s = time.monotonic() + timeout_s
    heard = b""
    try:
        with dial(address, port, timeout_s, None) as opened:
            while len(heard) < _MOST_BYTES and (left_s := until_s - time.monotonic()) > 0:
                opened.settimeout(left_s)
                piece = opened.recv(1024)
                heard += piece
                for line in heard.split(b"\n")[: -1 if piece else None]:
                    if line.startswith(b"SSH-"):
                        return clean(line[:255].strip(), 255)
                if not piece:
                    return ""
    except (Unreachable, OSError):
        return ""
    return ""
