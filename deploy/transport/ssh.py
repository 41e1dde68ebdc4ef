"""Knows how scripts, requests and forwarded ports travel over SSH; the only module that knows Fabric and Paramiko.

It owns a Fabric connection (which reads ~/.ssh/config: aliases, jump hosts, users) and talks through Paramiko's
channels: Fabric's own `run` hands a command its standard input byte by byte. What scripts say is others' business.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import (
    AuthenticationException,
    BadHostKeyException,
    Channel,
    ChannelException,
    PasswordRequiredException,
    SSHException,
)
from paramiko.config import SSHConfig

from deploy.errors import (
    AuthenticationRefused,
    BadAnswer,
    ConnectionLost,
    DeadlineExceeded,
    ForwardRefused,
    HostError,
    HostKeyChanged,
    Unreachable,
)
from deploy.model.host import Host
from deploy.transport.exchange import converse, read_to_end
from deploy.transport.host_keys import Trust, fingerprint, known_name
from deploy.transport.lead_back import lead
from deploy.transport.protocol import Completed, Progress, Script

MOST_ANSWER_BYTES = 1024 * 1024

PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254, section 5.1)."""


def connect(
    host: Host,
    *,
    board_user: str = "root",
    board_port: int = 22,
    accept_new_host_key: bool = False,
    identity: Path | None = None,
    connect_timeout_s: float = 10.0,
) -> SshTransport:
    """Open a connection. What `host` leaves open comes from ~/.ssh/config, then from the board.

    Raises Unreachable, HostKeyUnknown, HostKeyChanged or AuthenticationRefused.
    """
    logger = logging.getLogger("paramiko")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False  # it logs what it raises as well
    connection = _connection(host, board_user, board_port, identity, connect_timeout_s)
    trust = Trust.of(host, accept_new=accept_new_host_key)
    for hop in _hops(connection):
        trust.install(hop.client)  # Fabric's own policy takes every key
    where = str(host) if host.port is not None else str(replace(host, port=connection.port))
    with _named(where, connection, trust):
        if connection.gateway is None:
            connection.connect_kwargs["sock"] = _dial(connection.host, connection.port, connect_timeout_s)
        connection.open()
    return SshTransport(connection, str(host))


def _connection(
    host: Host, board_user: str, board_port: int, identity: Path | None, connect_timeout_s: float
) -> Connection:
    # A host that brings its own key is described wholly: nothing of the user's SSH settings applies to it.
    own = SSHConfig() if host.key_file is not None else None
    config = Config(overrides={"load_ssh_configs": own is None}, ssh_config=own, lazy=True)
    config.load_ssh_config()
    found = config.base_ssh_config.lookup(host.address)
    keys = [str(identity)] if identity else [host.key_file] if host.key_file else []
    return Connection(
        host.address,
        user=host.user or found.get("user") or board_user,
        port=host.port or int(found.get("port", board_port)),
        config=config,
        connect_timeout=int(connect_timeout_s),
        forward_agent=False,
        connect_kwargs={
            "allow_agent": not keys,
            "look_for_keys": not keys,
            "compress": False,
            "banner_timeout": connect_timeout_s,
            "auth_timeout": 2 * connect_timeout_s,
            "channel_timeout": connect_timeout_s,
            **({"key_filename": keys} if keys else {}),
        },
    )


def _hops(connection: Connection) -> Iterator[Connection]:
    while isinstance(connection, Connection):
        yield connection
        connection = connection.gateway


def _dial(address: str, port: int, timeout_s: float) -> socket.socket:
    dialled = socket.create_connection((address, port), timeout=timeout_s)
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small questions must not wait for each other
    dialled.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # tcp(7): a peer that acknowledges nothing for so long is gone
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
    return dialled


@contextmanager
def _named(where: str, connection: Connection, trust: Trust) -> Iterator[None]:
    """Turn what goes wrong while connecting into our own errors; the connection is closed then."""
    try:
        yield
    except BaseException as error:
        with suppress(Exception):
            connection.client.close()
        problem = _problem(error, where, connection, trust)
        if problem is None:
            raise
        raise problem from error


def _problem(error: BaseException, where: str, connection: Connection, trust: Trust) -> HostError | None:
    match error:
        case HostError():
            return None
        case BadHostKeyException():
            name = known_name(connection.host, connection.port)
            offered, remembered = fingerprint(error.key), fingerprint(error.expected_key)
            return HostKeyChanged(name, offered, remembered, str(trust.remembering(name)))
        case PasswordRequiredException():
            return AuthenticationRefused("the private key has a passphrase; load it into an SSH agent", where)
        case AuthenticationException():
            return AuthenticationRefused(f"the server takes no key of ours for {connection.user}", where)
        case socket.gaierror():
            return Unreachable(f"nobody knows the name {connection.host}", where)
        case ConnectionRefusedError():
            return Unreachable(f"nothing listens on port {connection.port}", where)
        case TimeoutError():
            return Unreachable(f"{where} does not answer", where)
        case SSHException() if "No authentication methods" in str(error):
            return AuthenticationRefused(f"there is no key to log in with as {connection.user}", where)
        case SSHException() if "No existing session" in str(error):  # no key exchange within the time
            return Unreachable(f"what listens on port {connection.port} says nothing", where)
        case SSHException() if "uthentication" in str(error):
            return AuthenticationRefused(f"the server ended the login of {connection.user}", where)
        case SSHException() | EOFError():
            return Unreachable(
                f"what listens on port {connection.port} does not speak SSH as expected ({error})", where
            )
        case OSError():
            return Unreachable(f"{where} is out of reach: {error.strerror or error}", where)
    return None


class SshTransport:
    """One open connection; see `transport.protocol.Transport`. For one thread."""

    def __init__(self, connection: Connection, host: str) -> None:
        self._connection = connection
        self._host = host
        self._asked = 0

    @property
    def host(self) -> str:
        """The host as the user would write it."""
        return self._host

    @property
    def round_trips(self) -> int:
        """How many questions were asked so far."""
        return self._asked

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        """See Transport. A signal's number does not reach Paramiko: `exit_status` is then -1."""
        self._asked += 1
        with self._within(script.title, script.deadline_s) as watch:
            channel = watch(self._transport().open_session(timeout=script.deadline_s))
            completed = converse(channel, script, progress)
        if completed is None:
            raise BadAnswer(f"{script.title} printed more than 16 MiB", self._host)
        if completed.exit_status < 0 and not self._transport().is_active():
            raise ConnectionLost(f"the connection broke while it was to {script.title}", self._host)
        return completed

    def request(self, port: int, data: bytes, deadline_s: float = 10.0) -> bytes:
        """See Transport: a direct-tcpip channel (RFC 4254, section 7.2)."""
        self._asked += 1
        with self._within(f"ask port {port}", deadline_s) as watch:
            try:
                channel = watch(
                    self._transport().open_channel(
                        "direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0), timeout=deadline_s
                    )
                )
            except ChannelException as error:
                problem = (
                    "the server forwards nothing" if error.code == PROHIBITED else f"nothing listens on port {port}"
                )
                raise ForwardRefused(problem, self._host, prohibited=error.code == PROHIBITED) from error
            channel.sendall(data)
            return read_to_end(channel, MOST_ANSWER_BYTES)

    @contextmanager
    def lead_back(self, controller_port: int) -> Iterator[int]:
        """See Transport: a forwarded port (RFC 4254, section 7.1)."""
        self._asked += 1
        transport = self._transport()
        with ExitStack() as stack:
            try:
                port = stack.enter_context(lead(transport, controller_port))
            except SSHException as error:
                raise ForwardRefused("the server does not listen for us", self._host, prohibited=True) from error
            yield port

    def close(self) -> None:
        """End the connection, and with it what runs in its channels."""
        with suppress(Exception):
            self._connection.close()

    def _transport(self) -> Any:
        transport = self._connection.transport
        if transport is None or not transport.is_active():
            raise ConnectionLost("the connection is closed", self._host)
        return transport

    @contextmanager
    def _within(self, what: str, deadline_s: float) -> Iterator[Callable[[Channel], Channel]]:
        """Close the channel that is watched when the time is over; every wait on it ends then."""
        expired = threading.Event()
        opened: list[Channel] = []

        def expire() -> None:
            expired.set()
            for channel in opened:
                channel.close()

        def watch(channel: Channel) -> Channel:
            opened.append(channel)
            return channel

        timer = threading.Timer(deadline_s, expire)
        timer.daemon = True
        timer.start()
        try:
            yield watch
            if expired.is_set():
                raise DeadlineExceeded(f"the board did not {what} within {deadline_s:g} s", self._host)
        except (SSHException, OSError, EOFError) as error:
            if expired.is_set() or isinstance(error, TimeoutError) or "Timeout" in str(error):
                raise DeadlineExceeded(f"the board did not {what} within {deadline_s:g} s", self._host) from error
            raise ConnectionLost(f"the connection broke while it was to {what}", self._host) from error
        finally:
            timer.cancel()
            for channel in opened:
                channel.close()
