"""Knows what a deployment claims about a host: a later reading is held against it. Keeping it is others' work."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.model.limits import Limits


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the last deployment to one host has put there and started."""

    board: str
    host: str
    """As the user would write it."""
    prefix: str
    """Absolute, on the board."""
    binary: str
    """The binary's name in its release folder."""
    sha256: str
    limits: Limits
    health_port: int
    base_url: str = ""
    """The Bot API server that the gateway was told to use, "" for Telegram's own."""
    command: str | None = None
    """The arguments of a program that is no gateway, None for a gateway."""
    user: str = ""
    """The user of its own that the gateway was given; "" for the login's."""
    machine: str = ""
    """The emulated machine that stood for the board, "" for the board itself."""
    circumstances: dict[str, str] = field(default_factory=dict)
    """What the controller knows of the artifact: version, target, tags, ldflags, Go, source revision."""
