"""Knows how to run scripts in a sh on the controller itself: the transport without a network, for tests and trials.

A deployment never uses it: the loopback board is reached over SSH like any other.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.errors import BadAnswer, ConnectionLost, DeadlineExceeded, ForwardRefused
from deploy.model.secret import Secret
from deploy.transport.packing import pack
from deploy.transport.protocol import Completed, Packed, Progress, Script
from deploy.transport.streaming import MOST_PIECE_BYTES, Receive, lines

MOST_OUTPUT_BYTES = 16 * 1024 * 1024
MOST_ANSWER_BYTES = 1024 * 1024


class LocalTransport:
    """Scripts run in /bin/sh here, in a session of their own; ports are this machine's own."""

    def __init__(self) -> None:
        self._asked = 0
        self._open = True

    @property
    def host(self) -> str:
        """How messages call this machine."""
        return "this machine"

    @property
    def round_trips(self) -> int:
        """How many questions were asked so far."""
        return self._asked

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        """Run `script` in sh. Raises DeadlineExceeded (its session is then killed), BadAnswer over 16 MiB of output."""
        self._count()
        payload = _payload(script)
        began = time.monotonic()
        with subprocess.Popen(
            ["/bin/sh", "-c", script.text],
            stdin=subprocess.DEVNULL if payload is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                stdout, stderr = process.communicate(payload, timeout=script.deadline_s)
            except subprocess.TimeoutExpired:
                _end_session(process.pid)
                raise DeadlineExceeded(
                    f"{script.title} did not end within {script.deadline_s:g} s", self.host
                ) from None
            except BaseException:
                _end_session(process.pid)
                raise
        if progress is not None and payload is not None:
            progress(len(payload), len(payload))
        if len(stdout) + len(stderr) > MOST_OUTPUT_BYTES:
            raise BadAnswer(f"{script.title} printed more than 16 MiB", self.host)
        return Completed(process.returncode, stdout, stderr, time.monotonic() - began, len(payload or b""))

    @contextmanager
    def stream(self, script: Script, quiet_s: float) -> Iterator[Iterator[bytes]]:
        """See Transport. At the end of the context its session is killed."""
        self._count()
        with subprocess.Popen(
            ["/bin/sh", "-c", script.text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            try:
                yield lines(_of_pipe(process.stdout.fileno()), quiet_s, script.title, self.host)
            finally:
                _end_session(process.pid)

    def request(self, port: int, data: bytes, deadline_s: float = 10.0) -> bytes:
        """Send `data` to 127.0.0.1:`port`, read to the end, at most 1 MiB. Raises ForwardRefused, DeadlineExceeded."""
        self._count()
        until = time.monotonic() + deadline_s
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=deadline_s) as connection:
                connection.sendall(data)
                received = bytearray()
                while len(received) < MOST_ANSWER_BYTES:
                    connection.settimeout(max(until - time.monotonic(), 0.001))
                    if not (piece := connection.recv(65536)):
                        break
                    received += piece
                return bytes(received)
        except ConnectionRefusedError as error:
            raise ForwardRefused(f"nothing listens on port {port}", self.host) from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"port {port} did not answer within {deadline_s:g} s", self.host) from error
        except OSError as error:
            raise ConnectionLost(f"the connection to port {port} broke", self.host) from error

    @contextmanager
    def lead_back(self, controller_port: int) -> Iterator[int]:
        """The same port: the board is the controller."""
        yield controller_port

    def own_address(self) -> str | None:
        """This machine."""
        return "127.0.0.1"

    def close(self) -> None:
        """Nothing is open between two calls."""
        self._open = False

    def _count(self) -> None:
        if not self._open:
            raise ConnectionLost("the transport is closed", self.host)
        self._asked += 1


def _of_pipe(pipe: int) -> Receive:
    def receive(seconds: float) -> bytes:
        if not select.select([pipe], [], [], seconds)[0]:
            raise TimeoutError
        return os.read(pipe, MOST_PIECE_BYTES)

    return receive


def _payload(script: Script) -> bytes | None:
    if isinstance(script.payload, Secret):
        return script.payload.reveal()
    if isinstance(script.payload, Path):
        return script.payload.read_bytes()
    if isinstance(script.payload, Packed):
        return b"".join(piece for piece, _ in pack(script.payload, MOST_OUTPUT_BYTES))
    return script.payload


def _end_session(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
