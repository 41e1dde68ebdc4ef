"""Knows how one script runs on one open channel: its standard input goes out while what it prints comes in.

Opening channels, deadlines and errors are `ssh.py`'s: when a deadline passes, it closes the channel, and every wait
here ends.
"""

from __future__ import annotations

import select
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.model.secret import Secret
from deploy.transport.protocol import Completed, Progress, Script

MOST_OUTPUT_BYTES = 16 * 1024 * 1024

PIECE_BYTES = 32_000
"""Paramiko splits a larger write again and again; over 32,675 bytes a write may be a hundred times slower."""

AT_ONCE_BYTES = 16 * 1024
"""What fits into every server's window (Dropbear's is 24 KiB), so that writing it first can't block."""


def converse(channel: Any, script: Script, progress: Progress | None) -> Completed | None:
    """Run `script`; None where it printed more than 16 MiB. `exit_status` is -1 where the server told none."""
    began = time.monotonic()
    command, pieces, total = _spoken(script)
    channel.exec_command(command)
    writer: threading.Thread | None = None
    if total <= AT_ONCE_BYTES:
        _send(channel, pieces, total, progress)
    else:
        writer = threading.Thread(target=_send, args=(channel, pieces, total, progress), daemon=True)
        writer.start()
    printed = _received(channel)
    if printed is None:
        channel.close()
    if writer is not None:
        writer.join()
    if printed is None:
        return None
    channel.status_event.wait()  # set by the exit status and by every way in which the channel closes
    return Completed(channel.exit_status, printed[0], printed[1], time.monotonic() - began)


def _spoken(script: Script) -> tuple[str, Iterator[bytes], int]:
    """The command, its standard input in pieces, and how many bytes those are."""
    payload = script.payload
    if payload is None:
        # Read wholly before it runs, so that no command in it can swallow the rest of it.
        text = f"main() {{\n{script.text}\n}}\nmain </dev/null\nexit $?\n".encode()
        return "exec sh", _pieces(text), len(text)
    # The login's shell may be anything; sh gets the text as one word. Quoting for boards is `board_shell/quoting.py`'s;
    # this is the transport's own envelope, below it.
    command = f"exec sh -c {shlex.quote(script.text)}"
    if isinstance(payload, Path):
        return command, _file_pieces(payload), payload.stat().st_size
    data = payload.reveal() if isinstance(payload, Secret) else payload
    return command, _pieces(data), len(data)


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), PIECE_BYTES):
        yield data[at : at + PIECE_BYTES]


def _file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _send(channel: Any, pieces: Iterator[bytes], total: int, progress: Progress | None) -> None:
    sent = 0
    with suppress(OSError):  # it has ended without reading all of it: its exit status tells more
        for piece in pieces:
            channel.sendall(piece)
            sent += len(piece)
            if progress is not None:
                progress(sent, total)
        channel.shutdown_write()


def _received(channel: Any) -> tuple[bytes, bytes] | None:
    """Standard output and standard error to their ends; None where they are too much."""
    stdout, stderr = bytearray(), bytearray()
    descriptor = channel.fileno()
    while True:
        while channel.recv_ready():
            stdout += channel.recv(65536)
        while channel.recv_stderr_ready():
            stderr += channel.recv_stderr(65536)
        if len(stdout) + len(stderr) > MOST_OUTPUT_BYTES:
            return None
        if channel.eof_received or channel.closed:
            if not (channel.recv_ready() or channel.recv_stderr_ready()):
                return bytes(stdout), bytes(stderr)
            continue
        select.select([descriptor], [], [])


def read_to_end(channel: Any, most: int) -> bytes:
    """What comes until the other side ends, at most `most` bytes."""
    received = bytearray()
    while len(received) < most and (piece := channel.recv(65536)):
        received += piece
    return bytes(received)
