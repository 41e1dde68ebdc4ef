"""Knows where the data that travels with the product lies: in the checkout, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _bundled(name: str) -> Path:
    installed = _PACKAGE / "_bundled" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def boards_folder() -> Path:
    """The catalogue: one TOML a board."""
    return _bundled("boards")


def gateway_folder() -> Path:
    """The in-repo gateway's Go module."""
    return _bundled("gateway")
