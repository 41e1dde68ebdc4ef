"""Knows the files that a service manager writes on a board: whose they are, and where new and old texts lie.

What stands in them is each manager's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.model.layout import Layout

_PLAIN_PREFIX = re.compile(r"/[A-Za-z0-9._/-]+")


@dataclass(frozen=True, slots=True)
class Text:
    """One file that a manager writes on the board. `path` is the layout's, or a system folder's."""

    path: str
    content: str
    mode: int = 0o600


def service_name(layout: Layout) -> str:
    """What a service of this layout is called: the prefix's last folder, without a leading dot."""
    return layout.prefix.rstrip("/").rpartition("/")[2].lstrip(".")


def manager_file(layout: Layout) -> str:
    """Where the name of the manager stands that keeps the gateway under `layout`."""
    return f"{layout.run}/manager"


def fits(layout: Layout) -> bool:
    """Whether the prefix can stand in a unit and in an init script as it is: no blanks, and absolute."""
    return _PLAIN_PREFIX.fullmatch(layout.prefix) is not None


def mark(layout: Layout) -> str:
    """What stands in every file of ours in a system's folder."""
    return f"slimdeploy for {layout.prefix}"


def head(layout: Layout) -> str:
    """The comment that says whose file it is; a service without it is not ours."""
    return f"# Written by {mark(layout)}; a deployment overwrites it."


def waits_at(layout: Layout, path: str) -> str:
    """Where a new text for `path` waits: beside it, or under run/ for a path in a system's folder."""
    return f"{_place(layout, path)}.next"


def kept_at(layout: Layout, path: str) -> str:
    """Where the text is kept that was at `path` before."""
    return f"{_place(layout, path)}.previous"


def _place(layout: Layout, path: str) -> str:
    return path if path.startswith(f"{layout.prefix}/") else f"{layout.run}/{path.rpartition('/')[2]}"
