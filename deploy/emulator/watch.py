"""Knows who is told how the making and the start of an emulated board go; a deployment's Observer is one."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Who is told how the making goes."""

    def note(self, text: str) -> None:
        """What is being done now."""
        ...

    def progress(self, done: int, total: int) -> None:
        """How far the download is, per mille."""
        ...
