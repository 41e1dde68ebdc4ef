"""Knows what one kind of hardware is like. Boards are data: `boards/*.toml`, read by `deploy/catalogue.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.model.limits import Limits
from deploy.model.target import Target


@dataclass(frozen=True, slots=True)
class Board:
    """One kind of hardware. Sizes are in KiB; `boards/_example.toml` explains every field."""

    name: str
    title: str
    target: Target
    ram_kib: int
    """What is soldered on."""
    visible_ram_kib: int | None = None
    """What the vendor's Linux sees of it, where that is known."""
    connection: str = "ssh"
    """"ssh", or "loopback" for the board that runs on the controller itself."""
    user: str = "root"
    port: int = 22
    prefix: str = "/opt/picoclaw"
    """Where releases live on the board; a leading "~/" is the login's home folder there."""
    init: str = "detached"
    """The vendor image's service manager: systemd, openrc, procd, busybox_init or detached."""
    sftp: bool = True
    """Whether the vendor's SSH server has an SFTP subsystem."""
    health_port: int = 8080
    limits: Limits = field(default_factory=Limits)
    tags: tuple[str, ...] = ("telegram", "smallbuf")
    libc: str = ""
    """glibc, musl or uclibc, where it is known. The gateway needs none."""
    storage: str = ""
    """Where its system lies, for people."""
    ssh_server: str = ""
    """openssh or dropbear, where it is known."""
    address: str = ""
    """Where its vendor's image is reached at first, where the vendor documents one."""
    compatible: tuple[str, ...] = ()
    """What its device tree's compatible may hold that no other board's does."""
    models: tuple[str, ...] = ()
    """What its device tree's model, or a PC's maker and product, may be."""
    systems: tuple[str, ...] = ()
    """What a system may say that was built for it: OpenWrt's target, or the first line of issue(5)."""
    token_command: str = ""
    """What prints the bot token on the controller, run without a shell; "" where the user's file names none."""
    token_keyring: str = ""
    """SERVICE/USER of the bot token in the user's keyring."""
    api_key_command: str = ""
    """What prints the API key of the model that answers."""
    api_key_keyring: str = ""
    """SERVICE/USER of that key."""
    sources: tuple[str, ...] = ()
    """Where each fact comes from."""
    notes: tuple[str, ...] = ()
