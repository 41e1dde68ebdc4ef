"""Knows how a gateway that talks to Telegram itself can be read under load: by a second instance beside it.

The same release under the same limits, in a folder of its own, told to talk to a Bot API stand-in on the controller,
through a port that leads back over SSH or, where the server forwards nothing, directly. The gateway in service is not
touched, and nothing of the second one is left.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from deploy.board_shell.push import stage_file
from deploy.board_shell.quoting import quote_path
from deploy.errors import HostError, NotReady
from deploy.interrupts import held_interrupts
from deploy.memory.counters import is_ready
from deploy.memory.way_here import stand_in
from deploy.model.gateway_config import GatewayConfig
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.reading import Process
from deploy.model.secret import Secret
from deploy.service.detached import Detached
from deploy.service.face import ServiceManager
from deploy.service.texts import LIVE
from deploy.steps.asking import must
from deploy.steps.logs import log_tail
from deploy.steps.start import parse_pid_file
from deploy.telegram.user_side import UserSide
from deploy.transport.protocol import Script, Transport

READY_WITHIN_S = 30.0
_PAUSE_S = 0.1

LASTS_S = 75 * 60
"""Longer than any load may take; then it ends by itself, should the link have broken before it was removed."""

_FIRST_PORT, _PORTS = 20_000, 10_000
"""Below the range from which kernels give out ports by themselves (32768 and up: ip(7), ip_local_port_range)."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One that runs: where it lies, which process it is, and who writes to it."""

    layout: Layout
    process: Process
    health_port: int
    user_side: UserSide
    way: str
    """How it gets to the stand-in, for people."""


def make_token() -> Secret:
    """A token of the right form that no bot has."""
    letters = string.ascii_letters + string.digits
    return Secret(f"{secrets.randbelow(10**9) + 10**9}:{''.join(secrets.choice(letters) for _ in range(35))}".encode())


@contextmanager
def second_instance(
    transport: Transport,
    layout: Layout,
    release_id: str,
    limits: Limits,
    *,
    user: str = "",
    note: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Instance]:
    """Start one of `release_id` as `user` ("" for the login), wait until it is ready; stop and remove it at the end.

    `environment` is what it gets beside its limits.

    Raises ForwardRefused where the board has no way to the stand-in, NotReady with its log, CommandFailed.
    """
    own = Layout(f"{layout.run}/{LIVE}", layout.name)
    service = Detached(own, limits, user=user, lasts_s=LASTS_S, environment=tuple((environment or {}).items()))
    port = _FIRST_PORT + secrets.randbelow(_PORTS)
    token = make_token()
    with stand_in(transport, token, note) as way:
        api = way.api
        config = GatewayConfig(token, way.base_url, api.ca_pem, health_port=port)
        try:
            note("starting a second instance of the same release, beside the one in service")
            must(transport, service.uninstall())  # what an earlier one may have left, where its link broke
            must(transport, _prepare(layout, own, others_pass=bool(user)))
            must(transport, stage_file("write its CA bundle", own.ca_file, api.ca_pem))
            must(transport, stage_file("write its config", own.config, config.render(own.ca_file)))
            texts = [text.path for text in service.texts()]
            must(transport, service.stage(texts))
            staged = [own.ca_file, own.config, *texts]
            started = must(transport, service.switch(release_id, before=None, staged=staged))
            process = parse_pid_file(started.stdout)
            wait_until_ready(transport, service, port, clock, sleep)
            yield Instance(own, process, port, api.user_side, way.way)
        finally:
            with held_interrupts(), suppress(HostError):  # a broken connection says so by itself
                transport.run(service.uninstall())


def _prepare(layout: Layout, own: Layout, *, others_pass: bool) -> Script:
    """A folder for it whose releases are the gateway's; another user may get there where `others_pass`."""
    folder, releases = quote_path(own.prefix), quote_path(own.releases)
    opened = f" && chmod go+x {quote_path(layout.run)}" if others_pass else ""
    return Script(
        title="make a folder for the second instance",
        text=f"umask 077; mkdir -p {folder} && ln -s {quote_path(layout.releases)} {releases}{opened}",
    )


def wait_until_ready(
    transport: Transport,
    service: ServiceManager,
    port: int,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    what: str = "the second instance",
) -> None:
    """Until /ready says so. Raises NotReady, with the end of its log, after READY_WITHIN_S seconds."""
    until = clock() + READY_WITHIN_S
    while True:
        if is_ready(transport, service.layout, port):
            return
        if clock() >= until:
            problem = f"{what} is not ready after {READY_WITHIN_S:g} s"
            raise NotReady(problem, transport.host, log=log_tail(transport, service))
        sleep(_PAUSE_S)
