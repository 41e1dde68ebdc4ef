"""Knows how one script runs on one open channel: its standard input goes out while what it prints comes in.

Opening channels, deadlines and errors are `ssh.py`'s: when a deadline passes, it closes the channel, and every wait
here ends.
"""

from __future__ import annotations

import io
import os
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from deploy.model.secret import Secret
from deploy.transport.packing import pack
from deploy.transport.protocol import Completed, Packed, Progress, Script

MOST_OUTPUT_BYTES = 16 * 1024 * 1024

PIECE_BYTES = 32_000
"""Paramiko splits a larger write again and again; over 32,675 bytes a write may be a hundred times slower."""

GRACE_S = 1.0
"""For how long the writing of an input that nobody reads any more may take to notice that."""

AT_ONCE_BYTES = 16 * 1024
"""What fits into every server's window (Dropbear's is 24 KiB), so that writing it first can't block."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A script as it travels: a command, and what goes to its standard input."""

    command: str
    pieces: Iterator[tuple[bytes, int]]
    """Each with how much of `total` is done with it."""
    total: int
    """How many bytes; of what is compressed on the way, before that."""

    @classmethod
    @contextmanager
    def of(cls, script: Script) -> Iterator[Spoken]:
        """Raises OSError where the payload is a file that can't be read."""
        payload = script.payload
        if payload is None:
            # Read wholly before it runs, so that no command in it can swallow the rest of it. A function's body may
            # not be empty, and a script may.
            text = f"main() {{ :\n{script.text}\n}}\nmain </dev/null\nexit $?\n".encode()
            yield cls("exec sh", _pieces(io.BytesIO(text)), len(text))
            return
        # The login's shell may be anything; sh gets the text as one word. Quoting for boards is
        # `board_shell/quoting.py`'s; this is the transport's own envelope, below it.
        command = f"exec sh -c {shlex.quote(script.text)}"
        if isinstance(payload, Path):
            with payload.open("rb") as file:
                yield cls(command, _pieces(file), os.fstat(file.fileno()).st_size)
            return
        if isinstance(payload, Packed):
            payload.path.open("rb").close()  # before anything runs there
            yield cls(command, pack(payload, PIECE_BYTES), payload.size_bytes)
            return
        data = payload.reveal() if isinstance(payload, Secret) else payload
        yield cls(command, _pieces(io.BytesIO(data)), len(data))


def _pieces(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    done = 0
    while piece := file.read(PIECE_BYTES):
        done += len(piece)
        yield piece, done


def converse(channel: Any, spoken: Spoken, progress: Progress | None) -> Completed | None:
    """Run it; None where it printed more than 16 MiB. `exit_status` is -1 where the server told none."""
    began = time.monotonic()
    printed, sent = _Printed(channel), _Sent()
    channel.exec_command(spoken.command)
    writer: threading.Thread | None = None
    if spoken.total <= AT_ONCE_BYTES:
        _send(channel, spoken, progress, sent)
    else:
        writer = threading.Thread(target=_send, args=(channel, spoken, progress, sent), daemon=True)
        writer.start()
    fits = printed.read()
    if fits:
        channel.status_event.wait()  # set by the exit status and by every way in which the channel closes
    channel.close()
    if writer is not None:
        writer.join(GRACE_S)
        if writer.is_alive():  # it hangs in the socket: the other side takes nothing any more
            channel.get_transport().close()
            writer.join()
    if not fits:
        return None
    seconds = time.monotonic() - began
    return Completed(channel.exit_status, bytes(printed.stdout), bytes(printed.stderr), seconds, sent.count)


def begin(channel: Any, spoken: Spoken) -> None:
    """Start it, and send it its input, which is a short script; its standard error goes where its output goes."""
    if spoken.total > AT_ONCE_BYTES:
        raise ValueError("what prints while it runs is started by a short script")
    channel.set_combine_stderr(True)  # nobody reads it apart, and what is not read holds up the rest
    channel.exec_command(spoken.command)
    _send(channel, spoken, None, _Sent())


@dataclass(slots=True)
class _Sent:
    """How many bytes went out."""

    count: int = 0


def _send(channel: Any, spoken: Spoken, progress: Progress | None, sent: _Sent) -> None:
    with suppress(OSError, EOFError):  # it has ended without reading all of it: its exit status tells more
        try:
            for piece, done in spoken.pieces:
                channel.sendall(piece)
                sent.count += len(piece)
                if progress is not None:
                    progress(done, spoken.total)
        finally:
            channel.shutdown_write()


class _Printed:
    """What a command prints, on both streams until their ends.

    It is told by the buffers that something came (`BufferedPipe.set_event`, which `Channel.fileno` uses too), so that
    it neither polls nor holds file descriptors that another thread might close under it.
    """

    def __init__(self, channel: Any) -> None:
        self.stdout, self.stderr = bytearray(), bytearray()
        self._channel = channel
        self._came = threading.Event()
        for buffer in (channel.in_buffer, channel.in_stderr_buffer):
            buffer.set_event(self)

    def set(self) -> None:
        """Something came, or the end."""
        self._came.set()

    def clear(self) -> None:
        """One of the two buffers is empty; the other may not be, so only `read` clears."""

    def read(self) -> bool:
        """Read to the end; False where it is more than 16 MiB."""
        channel = self._channel
        while True:
            self._came.clear()
            ended = channel.eof_received or channel.closed
            while channel.recv_ready():
                self.stdout += channel.recv(65536)
            while channel.recv_stderr_ready():
                self.stderr += channel.recv_stderr(65536)
            if len(self.stdout) + len(self.stderr) > MOST_OUTPUT_BYTES:
                return False
            if ended:
                return True
            self._came.wait()


def read_to_end(channel: Any, most: int) -> bytes:
    """What comes until the other side ends, at most `most` bytes."""
    received = bytearray()
    while len(received) < most and (piece := channel.recv(65536)):
        received += piece
    return bytes(received)
