"""Knows what a gateway is told: its token, where the Bot API is, where it answers about its health."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deploy.model.secret import Secret

TELEGRAM = "https://api.telegram.org"
"""Telegram's own Bot API server (core.telegram.org/bots/api, "Making requests")."""

ANSWERED_BY_A_MODEL = "openai"
"""What agents.defaults.provider says for the one provider that has a key and a server (docs/gateway.md)."""

OPENAI = "https://api.openai.com/v1"
"""Where that provider is asked unless the config says otherwise (gateway/internal/config/answers.go)."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The settings of one gateway. `base_url` None: Telegram's own; `ca_pem` None: the board's own CA bundle."""

    token: Secret
    base_url: str | None = None
    ca_pem: bytes | None = None
    health_host: str = "127.0.0.1"
    health_port: int = 8080
    settings: Secret | None = None
    """A config of the user's, a JSON object that may hold keys: what is not said here goes along from it."""
    ca_for_model: bool = False
    """Whether the model's server is checked against `ca_pem` as well, unless `settings` name a CA file for it."""
    ca_says: str = ""
    """What `ca_pem` holds, for people; "" for a bundle of the user's own."""

    def render(self, ca_file: str) -> Secret:
        """The config file's bytes; the same settings give the same bytes. `ca_file` is where `ca_pem` lies."""
        telegram: dict[str, object] = {"enabled": True, "token": self.token.reveal().decode("ascii")}
        if self.base_url is not None:
            telegram["base_url"] = self.base_url
        if self.ca_pem is not None:
            telegram["ca_file"] = ca_file
        document = json.loads(self.settings.reveal()) if self.settings else {}
        channels = document.setdefault("channels", {})
        channels["telegram"] = {**channels.get("telegram", {}), **telegram}
        if self.ca_pem is not None and self.ca_for_model and _asks_a_model(document):
            providers = document.setdefault("providers", {})
            providers["openai"] = {"ca_file": ca_file} | providers.get("openai", {})
        document["gateway"] = {**document.get("gateway", {}), "host": self.health_host, "port": self.health_port}
        return Secret(json.dumps(document, indent=2).encode() + b"\n")

    def checked_hosts(self) -> tuple[str, ...]:
        """The hosts whose certificates it checks against the authorities that it trusts by default, Telegram's first.

        None of those that are spoken to without TLS, or for which `settings` name a CA file on the board.
        """
        document = json.loads(self.settings.reveal()) if self.settings else {}
        telegram = document.get("channels", {}).get("telegram", {})
        asked = [] if telegram.get("ca_file") else [self.base_url or telegram.get("base_url") or TELEGRAM]
        if _asks_a_model(document):
            openai = document.get("providers", {}).get("openai", {})
            asked += [] if openai.get("ca_file") else [openai.get("api_base") or OPENAI]
        hosts = (_tls_host(str(address)) for address in asked)
        return tuple(dict.fromkeys(host for host in hosts if host))

    def sha256(self, ca_file: str) -> str:
        """The hash that the file on the board has when it holds just these settings."""
        return hashlib.sha256(self.render(ca_file).reveal()).hexdigest()

    @property
    def ca_sha256(self) -> str:
        """The hash of the CA bundle, "" without one."""
        return hashlib.sha256(self.ca_pem).hexdigest() if self.ca_pem is not None else ""


def _asks_a_model(document: dict[str, Any]) -> bool:
    return bool(document.get("agents", {}).get("defaults", {}).get("provider") == ANSWERED_BY_A_MODEL)


def _tls_host(address: str) -> str:
    """The host of an https address, "" of any other; an address that is none is the gateway's to refuse."""
    try:
        parts = urlsplit(address)
        return (parts.hostname or "") if parts.scheme == "https" else ""
    except ValueError:
        return ""
