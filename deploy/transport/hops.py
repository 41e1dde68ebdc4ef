"""Knows by which hops a host is reached: what ~/.ssh/config says of it, jump hosts, and what goes wrong on the way.

Logging in, and what is spoken then, is `ssh.py`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fabric import Config, Connection
from paramiko import Channel, ChannelException, SSHException
from paramiko.config import SSHConfig

from deploy.errors import BadFile, HostError, Unreachable
from deploy.model.host import Host
from deploy.once import Once
from deploy.transport.file_version import FileVersion

_USER_SETTINGS: Once[SSHConfig] = Once()
"""What a fleet's hosts have in common is not read for each of them."""


class Through:
    """A channel through a jump host, as the socket of a connection: once it is closed, nothing more is sent on it.

    Paramiko's channel may send after its CLOSE what another thread was just writing (`Channel._send` lets go of its
    lock before). OpenSSH then ends the whole connection ("data packet referred to nonexistent channel"), and with it
    those to all other hosts behind that jump host.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._is_closed = False

    def send(self, data: bytes) -> int:
        """Some of the data; how many bytes. Raises OSError once it is closed, TimeoutError."""
        with self._sending:
            if self._is_closed:
                raise OSError("the channel through the jump host is closed")
            return int(self._channel.send(data))

    def close(self) -> None:
        """After what is being sent; twice is fine."""
        with self._sending:
            self._is_closed = True
            self._channel.close()

    def recv(self, most_bytes: int) -> bytes:
        """What has come; b"" at its end. Raises TimeoutError."""
        return bytes(self._channel.recv(most_bytes))

    def settimeout(self, seconds: float | None) -> None:
        """For `send` and `recv`."""
        self._channel.settimeout(seconds)


class Behind(Connection):  # type: ignore[misc]  # Fabric has no types
    """A connection that may go through jump hosts."""

    def open_gateway(self) -> Through:
        """The way through the open connection to the last of them."""
        return Through(super().open_gateway())


def described(host: Host, board_user: str, board_port: int) -> Connection:
    """The host as the user's SSH settings have it, with its jump hosts; not open yet. Raises BadFile."""
    # A host that brings its own key is described wholly: nothing of the user's settings applies to it.
    try:
        settings = SSHConfig() if host.key_file is not None else _USER_SETTINGS.get(_versions(), _user_settings)
        config = Config(overrides={"load_ssh_configs": False}, ssh_config=settings, lazy=True)
        found = config.base_ssh_config.lookup(host.address)
        connection = Behind(
            host.address,
            user=host.user or found.get("user") or board_user,
            port=host.port or int(found.get("port", board_port)),
            config=config,
            forward_agent=False,
        )
        if found.get("proxyjump", "").lower() == "none":  # ssh_config(5); Fabric takes it for a host's name
            connection.gateway = None
        return connection
    except (SSHException, OSError, ValueError) as error:
        raise BadFile("~/.ssh/config", [f"it can't be read: {error}"], "ssh") from error


def _user_settings() -> SSHConfig:
    config = Config(lazy=True)
    config.load_ssh_config()
    return config.base_ssh_config


def _versions() -> tuple[tuple[Path, FileVersion], ...]:
    """Which settings of the user's these are: read anew once a file of them is another."""
    found = []
    for path in (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")):
        with suppress(OSError):
            found.append((path, FileVersion.of(path)))
    return tuple(found)


def hops_of(connection: Connection) -> Iterator[Connection]:
    """The connection and the jump hosts before it, the outermost last; a ProxyCommand (a str) is none of them."""
    while isinstance(connection, Connection):
        yield connection
        connection = connection.gateway


@contextmanager
def named(where: str, hops: Sequence[Connection], command: str | None) -> Iterator[None]:
    """Turn what goes wrong while connecting into our own errors; every connection is closed then."""
    try:
        yield
    except BaseException as error:
        close_all(hops)
        problem = _problem(error, where, hops[0].port, command)
        if problem is None:
            raise
        raise problem from error


def close_all(hops: Sequence[Connection]) -> None:
    """Also what Fabric leaves open: connections that are lost, and jump hosts."""
    for hop in hops:
        with suppress(Exception):
            hop.client.close()
        dialled = hop.connect_kwargs.get("sock")
        if dialled is not None:
            dialled.close()


def _problem(error: BaseException, where: str, port: int, command: str | None) -> HostError | None:
    match error:
        case HostError():
            return None
        case ChannelException():
            return Unreachable(f"the jump host does not reach port {port}", where)
        case SSHException() | EOFError() if command is not None:
            return Unreachable(f"the ProxyCommand of ~/.ssh/config leads to no SSH server ({command})", where)
        case SSHException() if _took_too_long(error):
            return Unreachable(f"what listens on port {port} says nothing", where)
        case SSHException() | EOFError():
            return Unreachable(f"what listens on port {port} does not speak SSH as expected ({error})", where)
        case OSError():
            return Unreachable(f"{where} is out of reach: {error.strerror or error}", where)
    return None


def _took_too_long(error: SSHException) -> bool:
    """Whether there was no banner, or no key exchange, within the time."""
    return isinstance(error.__context__, TimeoutError) or "No existing session" in str(error)
