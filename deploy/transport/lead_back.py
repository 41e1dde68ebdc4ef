"""Knows how a port on the board leads back to the controller: bytes pumped both ways while the context lasts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_PIECE_BYTES = 32_000
_CONNECT_S = 5.0


@contextmanager
def lead(transport: Any, controller_port: int) -> Iterator[int]:
    """The port on the board's 127.0.0.1. Raises what Paramiko raises where the server does not listen for us."""
    carried: list[tuple[Any, socket.socket, threading.Thread]] = []
    lock = threading.Lock()

    def arrived(channel: Any, origin: object, server: object) -> None:
        try:
            here = socket.create_connection(("127.0.0.1", controller_port), timeout=_CONNECT_S)
        except OSError:
            channel.close()
            return
        here.settimeout(None)
        here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=_carry, args=(channel, here), daemon=True)
        with lock:
            carried.append((channel, here, thread))
        thread.start()

    port: int = transport.request_port_forward("127.0.0.1", 0, arrived)
    try:
        yield port
    finally:
        with suppress(Exception):  # the connection may be gone, and the port with it
            transport.cancel_port_forward("127.0.0.1", port)
        with lock:
            left = list(carried)
        for channel, here, thread in left:
            with suppress(OSError):
                here.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in recv
            channel.close()
            thread.join(_CONNECT_S)


def _carry(channel: Any, here: socket.socket) -> None:
    """Bytes both ways until both ends are at their end; then both are closed."""
    inward = threading.Thread(target=_pump, args=(channel.recv, here.sendall, here), daemon=True)
    inward.start()
    _pump(here.recv, channel.sendall, channel)
    inward.join()
    channel.close()
    here.close()


def _pump(receive: Any, send: Any, to: Any) -> None:
    """Bytes from `receive` to `send` until an end; then `to` is told that no more comes."""
    with suppress(OSError, EOFError):
        while piece := receive(_PIECE_BYTES):
            send(piece)
    with suppress(OSError, EOFError):
        if isinstance(to, socket.socket):
            to.shutdown(socket.SHUT_WR)
        else:
            to.shutdown_write()
