"""Knows how a host's port is reached: by TCP, or by the user's own ProxyCommand. What is spoken there is `ssh.py`'s."""

from __future__ import annotations

import socket

from deploy.errors import Unreachable
from deploy.model.host import Host
from deploy.transport.proxy_command import CommandSocket


def dial(address: str, port: int, timeout_s: float, command: str | None) -> socket.socket:
    """An open connection. Raises Unreachable."""
    if command is not None:
        return CommandSocket.to(command)
    where = str(Host(address, port=port))
    try:
        dialled = socket.create_connection((address, port), timeout=timeout_s)
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(f"nobody knows the name {address}", where) from error
    except ConnectionRefusedError as error:
        raise Unreachable(f"nothing listens on port {port} of {address}", where) from error
    except TimeoutError as error:
        raise Unreachable(f"{where} does not answer", where) from error
    except OSError as error:
        raise Unreachable(f"{where} is out of reach: {error.strerror or error}", where) from error
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small questions must not wait for each other
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # tcp(7): a peer that acknowledges nothing for so long is gone
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
    return dialled


def own_end(dialled: object) -> str | None:
    """The IP address of our end; None for what is no TCP connection, such as a ProxyCommand's."""
    if not isinstance(dialled, socket.socket) or dialled.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        return str(dialled.getsockname()[0]).partition("%")[0]
    except OSError:
        return None
