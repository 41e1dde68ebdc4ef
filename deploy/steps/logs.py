"""Knows how to fetch the end of the gateway's log, made safe to show."""

from __future__ import annotations

from deploy.board_shell.quoting import quote_path
from deploy.errors import HostError
from deploy.model.display import clean
from deploy.model.layout import Layout
from deploy.transport.protocol import Script, Transport


def log_script(layout: Layout, lines: int) -> Script:
    """Print the last `lines` lines of the log, with those of the file before it where the log was just rotated."""
    path = quote_path(layout.log_file)
    return Script(
        title="read the log",
        text=f"{{ cat {path}.1 2>/dev/null; cat {path} 2>/dev/null; }} | tail -n {int(lines)}\n",
        changes=False,
    )


def log_tail(transport: Transport, layout: Layout, lines: int = 20) -> str:
    """The last lines of the log, or "" where even that can't be had: the first problem matters more."""
    try:
        return clean(transport.run(log_script(layout, lines)).stdout)
    except HostError:
        return ""
