"""Knows how the gateway's own word is had: over a forwarded channel, or by `status` where nothing is forwarded."""

from __future__ import annotations

from deploy.board_shell.health import Health, parse_answer, parse_health, question
from deploy.board_shell.quoting import quote_path
from deploy.errors import BadAnswer, DeadlineExceeded, ForwardRefused
from deploy.model.layout import Layout
from deploy.transport.protocol import Script, Transport


def counters(transport: Transport, layout: Layout, health_port: int) -> Health | None:
    """The gateway's own counters, over a forwarded channel or, where the server forwards nothing, by `status --json`.

    None where no gateway answers.
    """
    try:
        return parse_answer(transport.request(health_port, question("/health", health_port)))
    except (ForwardRefused, BadAnswer, DeadlineExceeded):
        return told_by_status(transport, layout)


def is_ready(transport: Transport, layout: Layout, health_port: int) -> bool:
    """Whether /ready says so, asked in the same two ways."""
    try:
        return parse_answer(transport.request(health_port, question("/ready", health_port))).ready
    except BadAnswer:
        return False
    except ForwardRefused as refused:
        if not refused.prohibited:
            return False
    said = told_by_status(transport, layout)
    return said is not None and said.ready


def told_by_status(transport: Transport, layout: Layout) -> Health | None:
    """What `status --json` on the board says; None where no gateway answers."""
    binary, config = quote_path(f"{layout.current}/{layout.name}"), quote_path(layout.config)
    script = Script(
        title="ask the gateway for its counters",
        text=f"{binary} status --json --config {config} 2>/dev/null\n",
        changes=False,
        deadline_s=15.0,
    )
    try:
        return parse_health(transport.run(script).stdout)
    except (BadAnswer, DeadlineExceeded):
        return None
