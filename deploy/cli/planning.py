"""Knows how flags, the board's own settings and those of one on this machine become a plan; bad data stops here."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.bundled import gateway_folder
from deploy.cli import options
from deploy.cli.reaching import Place
from deploy.cli.secret_sources import Sources, api_key, bot_token
from deploy.errors import UsageError
from deploy.model.board import Board
from deploy.model.gateway_config import ANSWERED_BY_A_MODEL, GatewayConfig
from deploy.model.secret import Secret
from deploy.model.source import Source
from deploy.service.accounts import NAME
from deploy.service.detached import Detached
from deploy.service.managers import NAMES
from deploy.steps.authorities import CHOICES
from deploy.steps.face import Plan


@dataclass(frozen=True, slots=True)
class Wishes:
    """The flags of `deploy` that shape the plan, as the user wrote them; "" where a flag was not given."""

    source: str = ""
    package: str = ""
    tags: str = ""
    ldflags: str = ""
    version: str = ""
    prefix: str = ""
    token: Sources = field(default_factory=Sources)
    api_key: Sources = field(default_factory=Sources)
    base_url: str = ""
    ca_file: str = ""
    ca: str = ""
    set_clock: bool = False
    config_file: str = ""
    port: str = ""
    memory_limit: str = ""
    gc_percent: str = ""
    max_procs: str = ""
    command: str = ""
    hard_limit: str = ""
    service: str = ""
    user: str = ""
    tree_is_here: bool = True
    """False where another machine has built it: `source` and `package` are as that one resolved them."""


def plan_for(place: Place, wishes: Wishes) -> Plan:
    """The plan. Raises UsageError's leaves; asks for a token where none is given and somebody can be asked."""
    board = place.board
    command = _command(wishes)
    return Plan(
        board=board,
        ca=_authorities(wishes),
        source=source_of(wishes, board.tags),
        limits=options.limits(
            board.limits, wishes.memory_limit, wishes.gc_percent, wishes.max_procs, wishes.hard_limit
        ),
        config=_config(place, wishes) if command is None else GatewayConfig(Secret(b"")),
        prefix=options.prefix(wishes.prefix) or board.prefix,
        prefix_is_fixed=bool(wishes.prefix),
        version=wishes.version,
        command=command,
        service=_service(place, wishes),
        user=_user(wishes),
        set_clock=wishes.set_clock and place.board.connection != "loopback",
    )


def _service(place: Place, wishes: Wishes) -> str:
    """The service manager that was named, "" for the host's own. This machine's own init is left alone."""
    if wishes.service and wishes.service not in NAMES:
        raise UsageError(f"--service takes {', '.join(NAMES)}, and not {wishes.service!r}")
    if place.board.connection != "loopback":
        return wishes.service
    if wishes.service not in ("", Detached.name):
        raise UsageError(f"{place.board.name} is this machine, whose {wishes.service} is not for a trial to change")
    return Detached.name


def _user(wishes: Wishes) -> str:
    """What --user says. Raises UsageError."""
    if wishes.user and not NAME.fullmatch(wishes.user):
        raise UsageError(f"--user takes a name of a-z, 0-9, _ and -, and not {wishes.user!r}")
    return wishes.user


def _authorities(wishes: Wishes) -> str:
    """What --ca says. Raises UsageError."""
    if wishes.ca and wishes.ca not in CHOICES:
        raise UsageError(f"--ca takes {', '.join(CHOICES)}, and not {wishes.ca!r}")
    if wishes.ca and wishes.ca_file:
        raise UsageError("--ca and --ca-file both name what is to be trusted: take one of them")
    return wishes.ca


def _command(wishes: Wishes) -> tuple[str, ...] | None:
    """The arguments of a program that is no gateway; None for a gateway. Raises UsageError."""
    if not wishes.command:
        return None
    if not wishes.source:
        raise UsageError("--command is for a program of your own: name its tree with --source")
    try:
        return tuple(shlex.split(wishes.command))
    except ValueError as error:
        raise UsageError(f"--command: {error}") from None


def source_of(wishes: Wishes, board_tags: tuple[str, ...]) -> Source:
    """What is to be built: the in-repo gateway with the board's tags, or the user's tree with the user's own.

    --tags replaces the board's tags; a lone comma leaves them all out. Raises UsageError for a folder that is not
    there; everything else about the tree is held by `deploy/source_tree.py`.
    """
    own_tags = options.words(wishes.tags)
    if not wishes.source:
        source = Source(gateway_folder(), tags=own_tags if wishes.tags else board_tags, ldflags=wishes.ldflags)
        if wishes.package:
            return replace(source, package=wishes.package, binary=_binary(source.root, wishes.package))
        return source
    root = Path(wishes.source).expanduser()
    if not wishes.tree_is_here:
        return Source(root, wishes.package, _binary(root, wishes.package), own_tags, wishes.ldflags, in_repo=False)
    if not root.is_dir():
        raise UsageError(f"--source: there is no folder {wishes.source}")
    root = root.resolve()
    usual = Source(root).package
    package = wishes.package or (usual if (root / usual).is_dir() else ".")
    return Source(root, package, _binary(root, package), own_tags, wishes.ldflags, in_repo=False)


def _binary(root: Path, package: str) -> str:
    # As `go build` calls it: by the package's folder, which is the root's for a package at the root.
    return package.rstrip("/").rpartition("/")[2] if package.strip("./") else root.name


def _config(place: Place, wishes: Wishes) -> GatewayConfig:
    port = options.count(wishes.port, "port", most=65535) if wishes.port else place.board.health_port
    local = place.kept
    own = _with_api_key(options.settings(wishes.config_file), place.board, wishes.api_key)
    settings = Secret(json.dumps(own).encode()) if own else None
    if local is not None and not (wishes.base_url or wishes.token):
        if given := "--ca-file" if wishes.ca_file else "--ca" if wishes.ca else "":
            raise UsageError(f"{given} needs --base-url here: {place.board.name} trusts its own Bot API stand-in")
        return GatewayConfig(
            token=local.token(),
            base_url=local.base_url,
            ca_pem=local.ca_file.read_bytes(),
            health_port=port if wishes.port else local.health_port,
            settings=settings,
        )
    if wishes.base_url:
        _check_address(wishes.base_url)
    ca_pem = options.existing_file(wishes.ca_file, "ca-file").read_bytes() if wishes.ca_file else None
    if ca_pem is not None and b"-----BEGIN CERTIFICATE-----" not in ca_pem:
        raise UsageError(f"--ca-file: {wishes.ca_file} holds no PEM certificate")
    return GatewayConfig(
        token=bot_token(
            wishes.token,
            Sources(command=place.board.token_command, keyring=place.board.token_keyring),
            str(own.get("channels", {}).get("telegram", {}).get("token", "")),
        ),
        base_url=wishes.base_url.rstrip("/") or None,
        ca_pem=ca_pem,
        health_port=port,
        settings=settings,
    )


def _check_address(text: str) -> None:
    """Raises UsageError where no Bot API server can be at that address; before a token is asked for."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"--base-url takes an address such as https://bots.example.org, not {text!r}")


def _with_api_key(settings: dict[str, Any], board: Board, flags: Sources) -> dict[str, Any]:
    """The user's config with the model's key from elsewhere in it, where it names a model that is asked over HTTP."""
    defaults = settings.get("agents", {}).get("defaults", {})
    if defaults.get("provider") != ANSWERED_BY_A_MODEL:
        if flags:
            raise UsageError(
                "the API key is for a model, and --config-file names none "
                f'("agents": {{"defaults": {{"provider": "{ANSWERED_BY_A_MODEL}"}}}})'
            )
        return settings
    key = api_key(flags, Sources(command=board.api_key_command, keyring=board.api_key_keyring))
    if key is None:
        return settings
    providers = settings.get("providers", {})
    openai = {name: value for name, value in providers.get("openai", {}).items() if name != "api_key_file"}
    openai["api_key"] = key.reveal().decode("ascii")
    return settings | {"providers": providers | {"openai": openai}}
