"""Knows what a fleet is: members, each a host with its groups and its settings; which files say so is `fleet`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.model.deployment import Deployment
from deploy.model.host import Host

SETTINGS = frozenset(
    {
        "accept_new_host_key",
        "api_key_command",
        "api_key_file",
        "api_key_keyring",
        "base_url",
        "ca",
        "ca_file",
        "config_file",
        "gc_percent",
        "hard_limit",
        "identity",
        "max_procs",
        "memory_limit",
        "port",
        "prefix",
        "service",
        "set_clock",
        "token_command",
        "token_file",
        "token_keyring",
        "user",
    }
)
"""What an inventory may say of a host or a group: flags of `deploy`, with underscores. A secret is named by where it
comes from, and never stands in an inventory itself."""

SWITCHES = frozenset({"accept_new_host_key", "no_password_login", "set_clock"})
"""Those of `SETTINGS` and `PROVISIONING` that are true or false; the others are text, as on the command line."""

PROVISIONING = frozenset(
    {
        "hostname",
        "no_password_login",
        "password_command",
        "password_file",
        "password_keyring",
        "swap",
        "time_zone",
        "zram",
    }
)
"""What it may say for `fleet.provision` besides: flags of `provision`, with underscores. `user` and `prefix`, which are
settings, are wishes too."""

EVERYBODY, UNGROUPED = "all", "ungrouped"
"""The two groups that every inventory has; Ansible's names for them."""


@dataclass(frozen=True, slots=True)
class Member:
    """One host of a fleet."""

    name: str
    """What the inventory calls it; no other member is called so."""
    host: Host
    board: str = ""
    """A board of the catalogue, or the path of a TOML file; "" where the host has to be asked."""
    groups: frozenset[str] = frozenset()
    """Every group that it is in, by way of others too; without `EVERYBODY`."""
    site: str = ""
    """Where it stands, for workers that stand near it; "" for anywhere."""
    settings: Mapping[str, str | bool] = field(default_factory=dict)
    """Keys of `SETTINGS`; the host's own word goes before its group's."""
    provisioning: Mapping[str, str | bool] = field(default_factory=dict)
    """Keys of `PROVISIONING`, likewise."""
    host_keys: tuple[str, ...] = ()
    """Pinned: "ssh-ed25519 AAAA…" or "SHA256:…"; with any, no other key is trusted. () asks known_hosts."""
    origin: str = ""
    """File and line that brought it in, such as fleet.toml:12."""
    records: tuple[Deployment, ...] = field(default=(), compare=False)
    """What the controller remembers of the last deployment there, one a board: a worker elsewhere can't look it up."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """A fleet, in the order of its file."""

    members: tuple[Member, ...]
    source: str
    """The file or the command that it was read from."""
    notes: tuple[str, ...] = ()
    """What its reader has to be told, though it is no fault: what was left out of it, and why."""

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The names of each group's members, by the group's name."""
        found: dict[str, list[str]] = {}
        for member in self.members:
            for group in sorted(member.groups) or (UNGROUPED,):
                found.setdefault(group, []).append(member.name)
        return {group: tuple(names) for group, names in sorted(found.items())}
