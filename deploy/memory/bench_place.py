"""Knows how the bench gets onto a board and off it again: a folder of its own, under a supervisor that ends by itself.

Nothing of it is left: not its binary, not its log, and no process; whatever happens meanwhile, the board sees to it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.board_shell.bench import place_script
from deploy.board_shell.preflight import HOME_PREFIX
from deploy.board_shell.quoting import quote_path
from deploy.errors import CommandFailed, HostError
from deploy.interrupts import held_interrupts
from deploy.memory.bench import Work
from deploy.memory.contest import among_the_releases
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.service.detached import Detached
from deploy.service.texts import BENCH
from deploy.steps.asking import must
from deploy.steps.logs import log_tail
from deploy.steps.start import parse_pid_file
from deploy.transport.protocol import Script, Transport

NAME = "membench"

_AROUND_S = 300
"""What starting it and looking at each phase may take, on a slow board, beside the phases."""


@contextmanager
def bench_running(
    transport: Transport,
    prefix: str,
    binary: Path,
    sha256: str,
    release_id: str,
    limits: Limits,
    work: Work,
    *,
    user: str = "",
    is_installed: bool,
    note: Callable[[str], None],
) -> Iterator[Subject]:
    """Push it below the gateway's `prefix`, start it as `user` under `limits`; stop and remove it at the end.

    Where no gateway is installed (`is_installed` False) the prefix is made for it, and goes with it; a login that may
    not write there has it in its home folder. Raises CommandFailed where it does not arrive, run or start, with
    its log.
    """
    found = prefix if is_installed else _place(transport, prefix)
    above = Layout(found)
    # A name of its own for each: what a slow board still removes of the one before is never this one's.
    own = Layout(f"{above.run}/{BENCH}-{secrets.token_hex(4)}", NAME)
    lasts_s = int(6 * work.deadline_s) + _AROUND_S
    service = Detached(own, limits, arguments=work.arguments, takes_config=False, user=user, lasts_s=lasts_s)
    try:
        must(transport, _prepare(above, own, others_pass=bool(user)))
        note(f"sending {NAME} to {own.prefix}")
        with among_the_releases(transport, own, release_id, sha256, binary):
            texts = [text.path for text in service.texts()]
            must(transport, service.stage(texts))
            try:
                started = must(transport, service.switch(release_id, before=None, staged=texts))
            except CommandFailed as error:
                raise CommandFailed(
                    "the bench does not start",
                    transport.host,
                    exit_status=error.exit_status,
                    stdout=log_tail(transport, service),
                    stderr=error.stderr,
                ) from error
            process = parse_pid_file(started.stdout)
            yield Subject(own, sha256, limits, process=process)
    finally:
        with held_interrupts(), suppress(HostError):  # a broken connection says so by itself
            transport.run(service.uninstall())
            transport.run(_tidy(above, own, with_prefix=not is_installed))


def _place(transport: Transport, prefix: str) -> str:
    found = must(transport, place_script(prefix, HOME_PREFIX)).stdout.decode("utf-8", "replace").strip()
    return found.rpartition("\n")[2]


def _prepare(above: Layout, own: Layout, *, others_pass: bool) -> Script:
    opened = f" && chmod go+x {quote_path(above.run)} {quote_path(own.prefix)}" if others_pass else ""
    return Script(
        title="make a folder for the bench",
        text=f"umask 077; mkdir -p {quote_path(own.prefix)}{opened}\n",
    )


def _tidy(above: Layout, own: Layout, *, with_prefix: bool) -> Script:
    folders = f"; rmdir {quote_path(above.run)} {quote_path(above.prefix)} 2>/dev/null" if with_prefix else ""
    return Script(title="remove the bench's folder", text=f"rm -rf {quote_path(own.prefix)}{folders}; :\n")
