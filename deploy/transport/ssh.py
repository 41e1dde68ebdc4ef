"""Knows how scripts, requests and forwarded ports travel over SSH; the only module that knows Fabric.

It owns a Fabric connection (which reads ~/.ssh/config: aliases, jump hosts, users) and talks through Paramiko's
channels: Fabric's own `run` hands a command its standard input byte by byte. What scripts say is others' business.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fabric import Connection
from paramiko import Channel, ChannelException, SSHException, Transport

from deploy.errors import BadAnswer, ConnectionLost, DeadlineExceeded, ForwardRefused, HostError
from deploy.model.host import Host
from deploy.model.secret import Secret
from deploy.transport.alarm import ALARM
from deploy.transport.dialling import dial, own_end
from deploy.transport.exchange import Spoken, begin, converse, read_to_end
from deploy.transport.hops import close_all, described, hops_of, named
from deploy.transport.host_keys import JudgedByUs, Trust
from deploy.transport.lead_back import lead
from deploy.transport.login import Login
from deploy.transport.protocol import Completed, Progress, Script
from deploy.transport.shared import Shared
from deploy.transport.streaming import lines, of_channel

MOST_ANSWER_BYTES = 1024 * 1024

CONNECT_FAILED = 2
"""SSH_OPEN_CONNECT_FAILED (RFC 4254, section 5.1); 1 is "administratively prohibited", 3 "unknown channel type"."""

KEEPALIVE_S = 15
"""How often an idle connection asks whether the other side still acknowledges."""

LEAD_BACK_S = 10.0

_QUIET = logging.getLogger("paramiko")


def connect(
    host: Host,
    *,
    board_user: str = "root",
    board_port: int = 22,
    accept_new_host_key: bool = False,
    identity: Path | None = None,
    password: Secret | None = None,
    connect_timeout_s: float = 10.0,
) -> SshTransport:
    """Open a connection. What `host` leaves open comes from ~/.ssh/config, then from the board.

    `identity` (or `host.key_file`) is then the only key that is offered; a `password` is offered instead
    of keys, to the host and to no jump host. Raises Unreachable, HostKeyUnknown,
    HostKeyChanged, AuthenticationRefused, PasswordRefused, or BadFile for a ~/.ssh/config that can't be read.
    """
    _QUIET.setLevel(logging.CRITICAL + 1)  # what it logs is raised as well
    again = True
    while True:
        connection = described(host, board_user, board_port)
        where = str(host) if host.port is not None else str(replace(host, port=connection.port))
        own = Own(identity or host.key_file, password)
        trust = Trust.of(host, accept_new=accept_new_host_key)
        jump = _through(connection, host, where, accept_new_host_key, connect_timeout_s)
        try:
            _opened([connection], where, trust, own, connect_timeout_s)
            return SshTransport(connection, str(host), jump)
        except BaseException as error:
            jump()
            # A connection that is shared may have died without this host's doing: a new one shows whose fault it is.
            if not (again and isinstance(error, HostError) and _has_lost_its_jump(connection)):
                raise
        again = False


def _through(connection: Connection, host: Host, where: str, accept_new: bool, timeout_s: float) -> Callable[[], None]:
    """Have it go through the open connection to its jump host, where it has one; what gives that back."""
    jumps = list(hops_of(connection))[1:]
    if not jumps:
        return lambda: None
    # The inventory pins the keys of the hosts behind it, and not the jump host's.
    trust = Trust.of(replace(host, host_keys=()), accept_new=accept_new)
    key = (*((jump.user, jump.host, jump.port) for jump in jumps), jumps[-1].gateway, trust)
    connection.gateway, give_back = _JUMPS.take(key, lambda: _opened(jumps, where, trust, None, timeout_s))
    return give_back


def _has_lost_its_jump(connection: Connection) -> bool:
    return isinstance(connection.gateway, Connection) and not connection.gateway.is_connected


@dataclass(frozen=True, slots=True)
class Own:
    """What the host itself, and none of the jump hosts before it, is offered alone."""

    identity: str | Path | None
    password: Secret | None


def _opened(hops: Sequence[Connection], where: str, trust: Trust, own: Own | None, timeout_s: float) -> Connection:
    """The first of them, open, through the others; `where` is the host that the user wants to reach."""
    command = hops[-1].gateway if isinstance(hops[-1].gateway, str) else None
    with named(where, hops, command):
        for hop in hops:
            files = [Path(name) for name in hop.connect_kwargs.get("key_filename", [])]
            only = hop.ssh_config.get("identitiesonly", "no").lower() == "yes"
            if own is not None and own.identity:
                files, only = [Path(own.identity)], True
            called = where if own is not None else str(Host(hop.host, hop.user, hop.port))
            login = Login(hop.user, called, (*files,), only)
            if certificate := hop.ssh_config.get("certificatefile"):
                login.certificates = (Path(certificate).expanduser(),)
            login.password = own.password if own is not None else None
            _prepare(hop, JudgedByUs(trust, hop.host, hop.port, of_jump_host=own is None), login, timeout_s)
        first = hops[-1]
        if not isinstance(first.gateway, Connection):
            first.connect_kwargs["sock"] = dial(first.host, first.port, timeout_s, command)
            first.gateway = None  # a ProxyCommand, which Fabric would leave to Paramiko
        hops[0].open()
        hops[0].transport.set_keepalive(KEEPALIVE_S)
    return hops[0]


def _prepare(hop: Connection, judge: JudgedByUs, login: Login, timeout_s: float) -> None:
    """AES-GCM is asked for first (RFC 5647): with the other ciphers Paramiko compares a MAC a packet, byte by byte."""

    def transport(sock: Any, **more: Any) -> Transport:
        made = Transport(sock, **more)
        judge.trust.preferred(made, hop.host, hop.port)
        security = made.get_security_options()
        security.ciphers = sorted(security.ciphers, key=lambda cipher: "-gcm@" not in cipher)
        return made

    hop.client.set_missing_host_key_policy(judge)  # Fabric's own takes every key
    hop.connect_timeout = timeout_s
    hop.connect_kwargs = {
        "auth_strategy": login,
        "transport_factory": transport,
        "compress": False,
        "banner_timeout": timeout_s,
        "auth_timeout": 2 * timeout_s,
        "channel_timeout": timeout_s,
    }


_JUMPS: Shared[Connection] = Shared(lambda jump: bool(jump.is_connected), lambda jump: close_all(list(hops_of(jump))))
"""The open connections to jump hosts: those behind one go through the same connection to it."""


class SshTransport:
    """One open connection; see `transport.protocol.Transport`. For one thread."""

    def __init__(self, connection: Connection, host: str, give_back: Callable[[], None]) -> None:
        self._connection = connection
        self._give_back = give_back
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
        with Spoken.of(script) as spoken, self._within(script.title, script.deadline_s) as watch:
            channel = watch(self._transport().open_session(timeout=script.deadline_s))
            completed = converse(channel, spoken, progress)
        if completed is None:
            raise BadAnswer(f"{script.title} printed more than 16 MiB", self._host)
        if completed.exit_status < 0 and not self._transport().is_active():
            raise ConnectionLost(f"the connection broke while it was to {script.title}", self._host)
        return completed

    @contextmanager
    def stream(self, script: Script, quiet_s: float) -> Iterator[Iterator[bytes]]:
        """See Transport. The channel is closed at the end of the context, whatever ended it."""
        self._asked += 1
        with ExitStack() as stack:
            spoken = stack.enter_context(Spoken.of(script))
            with self._within(script.title, script.deadline_s, close=stack.close):
                channel = self._transport().open_session(timeout=script.deadline_s)
                stack.callback(channel.close)
                begin(channel, spoken)
            yield lines(of_channel(channel, script.title, self._host), quiet_s, script.title, self._host)

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
                nobody = error.code == CONNECT_FAILED
                problem = f"nothing listens on port {port}" if nobody else f"the server forwards nothing ({error.text})"
                raise ForwardRefused(problem, self._host, prohibited=not nobody) from error
            channel.sendall(data)
            return read_to_end(channel, MOST_ANSWER_BYTES)

    @contextmanager
    def lead_back(self, controller_port: int) -> Iterator[int]:
        """See Transport: a forwarded port (RFC 4254, section 7.1)."""
        transport = self._transport()
        with ExitStack() as stack:
            try:
                with self._within("lead a port back", LEAD_BACK_S, close=transport.close):
                    port = stack.enter_context(lead(transport, controller_port))
            except ConnectionLost as error:
                if not transport.is_active():
                    raise
                raise ForwardRefused("the server does not listen for us", self._host, prohibited=True) from error
            yield port

    def own_address(self) -> str | None:
        """See Transport: jump hosts and a ProxyCommand lie between."""
        hops = list(hops_of(self._connection))
        return own_end(hops[0].connect_kwargs.get("sock")) if len(hops) == 1 else None

    def close(self) -> None:
        """End the connection, and with it what runs in its channels."""
        close_all([self._connection])
        self._give_back()

    def _transport(self) -> Any:
        transport = self._connection.transport
        if transport is None or not transport.is_active():
            raise ConnectionLost("the connection is closed", self._host)
        return transport

    @contextmanager
    def _within(
        self, what: str, deadline_s: float, close: Callable[[], None] | None = None
    ) -> Iterator[Callable[[Channel], Channel]]:
        """Close the channel that is watched (or call `close`) when the time is over; every wait on it ends then."""
        lock, opened = threading.Lock(), [close] if close else []
        expired = threading.Event()

        def expire() -> None:
            with lock:
                expired.set()
            for end in opened:
                with suppress(SSHException, OSError, EOFError):  # the connection itself has gone meanwhile
                    end()

        def watch(channel: Channel) -> Channel:
            with lock:
                opened.append(channel.close)
                late = expired.is_set()
            if late:
                channel.close()
            return channel

        too_late = DeadlineExceeded(f"the board did not {what} within {deadline_s:g} s", self._host)
        try:
            with ALARM.after(deadline_s, expire):
                yield watch
            if expired.is_set():
                raise too_late
        except (SSHException, OSError, EOFError) as error:
            if expired.is_set() or isinstance(error, TimeoutError) or "Timeout" in str(error):
                raise too_late from error
            raise ConnectionLost(f"the connection broke while it was to {what}", self._host) from error
        finally:
            for end in opened:
                if end is not close:
                    end()
