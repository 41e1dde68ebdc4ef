"""Knows what a gateway is told: its token, where the Bot API is, where it answers about its health."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from deploy.model.secret import Secret


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
        document["gateway"] = {**document.get("gateway", {}), "host": self.health_host, "port": self.health_port}
        return Secret(json.dumps(document, indent=2).encode() + b"\n")

    def sha256(self, ca_file: str) -> str:
        """The hash that the file on the board has when it holds just these settings."""
        return hashlib.sha256(self.render(ca_file).reveal()).hexdigest()

    @property
    def ca_sha256(self) -> str:
        """The hash of the CA bundle, "" without one."""
        return hashlib.sha256(self.ca_pem).hexdigest() if self.ca_pem is not None else ""
