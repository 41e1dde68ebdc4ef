"""Knows how a gateway on the board gets to a Bot API stand-in on this machine: through SSH or, where the server there
forwards nothing, directly.

Directly means: the stand-in listens at the address of this machine that the SSH connection comes from, on TLS, for a
bot whose token nobody else has, for the time of the messages.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from deploy.errors import ForwardRefused, NotReady
from deploy.model.secret import Secret
from deploy.telegram.certificate import make_certificate
from deploy.telegram.served import ServedBotApi
from deploy.transport.protocol import Script, Transport

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class StandIn:
    """One that serves; `base_url` is where the board finds it."""

    api: ServedBotApi
    base_url: str
    way: str
    """How the board gets to it, for people."""


@contextmanager
def stand_in(transport: Transport, token: Secret, note: Callable[[str], None]) -> Iterator[StandIn]:
    """A stand-in for as long as the context lasts.

    Raises ForwardRefused where the server leads no port back and the board has no other way here: because the
    connection goes by another host, or nothing arrived until the gateway was given up (a firewall, an address that is
    translated on the way).
    """
    with ExitStack() as stack:
        api = stack.enter_context(ServedBotApi(token))
        try:
            port = stack.enter_context(transport.lead_back(api.port))
        except ForwardRefused as refused:
            found = StandIn(*_direct(stack, transport, token, refused))
            note(f"the server there forwards nothing: the board is to reach this machine at {found.base_url}")
        else:
            found = StandIn(api, f"https://127.0.0.1:{port}", "a port led back through SSH")
        try:
            yield found
        except NotReady as problem:
            if found.api is api or found.api.was_reached:
                raise
            said = f"the server forwards nothing, and the board does not get to this machine at {found.base_url}"
            raise ForwardRefused(said, transport.host, prohibited=True) from problem


def _direct(
    stack: ExitStack, transport: Transport, token: Secret, refused: ForwardRefused
) -> tuple[ServedBotApi, str, str]:
    """A second server, at this machine's end of the connection, with a certificate for what the board calls it."""
    here = transport.own_address()
    if here is None:
        said = f"{refused.problem}, and the connection goes by another host, so that the board knows no way here"
        raise ForwardRefused(said, transport.host, prohibited=True) from refused
    called = _as_the_board_sees_it(transport) or ipaddress.ip_address(here)
    if called.version == 6 and called.is_link_local:
        said = f"{refused.problem}, and the board sees this machine by a link-local address only ({called})"
        raise ForwardRefused(said, transport.host, prohibited=True) from refused
    family = socket.AF_INET6 if ":" in here else socket.AF_INET
    listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    try:
        listener.bind((here, 0))
    except OSError as error:
        said = f"{refused.problem}, and this machine can't listen at {here} ({error.strerror})"
        raise ForwardRefused(said, transport.host, prohibited=True) from error
    api = stack.enter_context(ServedBotApi(token, make_certificate(str(called)), listener))
    host = f"[{called}]" if called.version == 6 else str(called)
    return api, f"https://{host}:{api.port}", f"directly, at {host}: the server forwards nothing"


def _as_the_board_sees_it(transport: Transport) -> Address | None:
    """The address that the board's SSH server says we come from: the first word of SSH_CONNECTION (ssh(1))."""
    asked = Script(title="ask where we come from", text='printf "%s\\n" "$SSH_CONNECTION"\n', changes=False)
    words = transport.run(asked).stdout.decode("ascii", "replace").split()
    try:
        found = ipaddress.ip_address(words[0].partition("%")[0]) if words else None
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
