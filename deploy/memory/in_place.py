"""Knows how the gateway in service itself talks to a stand-in for the time of a live reading, and to Telegram again.

It is a switch to another config, as a deployment does it: under the board's lock, and with a guard on the board, which
puts the config of before back where the link is gone. For boards without the memory for a second instance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.board_shell.framing import Framing
from deploy.board_shell.lock import KEEP_S, Lock
from deploy.board_shell.push import stage_file
from deploy.board_shell.releases import Held, parse_releases, releases_script
from deploy.errors import HostError, NothingThere
from deploy.interrupts import held_interrupts
from deploy.memory.second_instance import Instance, make_token, wait_until_ready
from deploy.memory.way_here import stand_in
from deploy.model.gateway_config import GatewayConfig
from deploy.model.reading import Process
from deploy.model.secret import Secret
from deploy.service.face import ServiceManager
from deploy.service.guard import arm
from deploy.steps.asking import held_by_us, must
from deploy.steps.start import SLACK_S, parse_pid_file
from deploy.transport.protocol import Script, Transport

NO_OFFSET = b"- 0\n"
"""What the stand-in's bot finds where the gateway keeps how far it has read; the real one is put back with the rest."""

_AROUND_S = 180
"""What the guard gives stopping, starting and sampling, beside the messages."""


@contextmanager
def in_place(
    transport: Transport,
    service: ServiceManager,
    port: int,
    *,
    lasts_s: float,
    note: Callable[[str], None],
    lock: Lock | None = None,
) -> Iterator[Instance]:
    """Lead the gateway that `service` keeps to a stand-in, for `lasts_s` seconds at most; lead it back at the end.

    Raises NothingThere where none runs, Refused where another deployment holds the board, ForwardRefused where it has
    no way to the stand-in, NotReady with its log. An error on the way back is raised, with what the guard will do.
    """
    layout = service.layout
    framing = Framing.new()
    held = parse_releases(framing, must(transport, releases_script(layout, framing)).stdout)
    if not held.runs:
        raise NothingThere("no gateway runs that could be measured in place")
    detour = _Detour(transport, service, lock or Lock.mine(), held, int(lasts_s) + _AROUND_S)
    token = make_token()
    with stand_in(transport, token, note) as way:
        api = way.api
        config = GatewayConfig(token, way.base_url, api.ca_pem, health_port=port)
        note("leading the gateway in service to a stand-in for the Bot API, for the time of the messages")
        try:
            detour.stage(api.ca_pem, config.render(layout.ca_file))
            process = detour.enter()
            wait_until_ready(transport, service, port, time.monotonic, time.sleep, "the gateway")
            yield Instance(layout, process, port, api.user_side, way.way)
        finally:
            with held_interrupts():
                detour.leave()
    note("the gateway talks to its own Bot API again")


@dataclass(slots=True)
class _Detour:
    """The way to the stand-in and back."""

    transport: Transport
    service: ServiceManager
    lock: Lock
    held: Held
    guard_s: int
    entered: bool = False

    @property
    def staged(self) -> tuple[str, ...]:
        """The files that change places."""
        layout = self.service.layout
        return (layout.ca_file, layout.config, layout.offset_file)

    def stage(self, ca_pem: bytes, config: bytes | Secret) -> None:
        """Write the new files beside the ones in use."""
        for path, content in zip(self.staged, (ca_pem, config, NO_OFFSET), strict=True):
            self._change(stage_file("write what leads it to the stand-in", path, content))

    def enter(self) -> Process:
        """Start it anew by them; the process."""
        service, held = self.service, self.held
        back = service.putting_back(held.current, previous=held.previous or None, staged=self.staged, was_running=True)
        let_go = f"{self.lock.functions(service.layout)}drop_lock"
        guard = arm(service.layout, f"{service.preamble()}{back}", self.guard_s, let_go)
        switch = service.switch(held.current, before=held.current, staged=self.staged, guard=guard)
        with held_interrupts():  # a Ctrl-C now would leave the board between two configs
            self.entered = True
            return parse_pid_file(self._change(switch, self.guard_s + SLACK_S))

    def leave(self) -> None:
        """The files of before, and the gateway running by them."""
        service, held = self.service, self.held
        try:
            if self.entered:
                self._change(
                    service.restore(held.current, previous=held.previous or None, staged=self.staged, was_running=True)
                )
            else:
                self._change(service.drop(self.staged))
            self.transport.run(self.lock.release(service.layout))
        except HostError as error:
            if self.entered:
                error.problem += f"; the board itself leads the gateway back, within {self.guard_s} s"
            raise

    def _change(self, script: Script, keep_s: float = KEEP_S) -> bytes:
        return held_by_us(self.transport, self.lock, self.service.layout, script, keep_s=keep_s).stdout
