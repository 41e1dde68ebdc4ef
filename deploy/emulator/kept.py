"""Knows a board that a daemon of ours keeps on this machine, as others see it, and how its daemon is asked.

Bringing one up and taking it down is `keeper.py`'s. Nothing heavy is loaded here.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deploy.errors import LoopbackFailed
from deploy.model.display import clean
from deploy.model.host import Host
from deploy.model.reading import Process
from deploy.model.secret import Secret
from deploy.telegram.user_side import AskedUserSide, UserSide

_ASK_S = 30.0
_MOST_ANSWER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeptBoard:
    """A board that is up. All paths lie in its own folder, 0700."""

    name: str
    folder: Path
    daemon: Process
    user: str
    port: int
    bot_api_port: int
    """Where the Bot API stand-in is on the board's 127.0.0.1."""
    control_port: int
    health_port: int
    """A port of the board's 127.0.0.1 for the gateway's health page."""
    sftp: bool
    machine: str = ""
    """The emulated machine that stands for the board; "" where the board is this machine."""
    facts: dict[str, str] = field(default_factory=dict, hash=False)
    """What else there is to show."""

    @property
    def address(self) -> str:
        """Loopback, never another interface."""
        return "127.0.0.1"

    @property
    def key_file(self) -> Path:
        """The throw-away private key that logs in."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts_file(self) -> Path:
        """The throw-away host key, as ssh(1) reads it."""
        return self.folder / "known_hosts"

    @property
    def console_file(self) -> Path:
        """What an emulated machine printed on its serial console."""
        return self.folder / "console.log"

    @property
    def host(self) -> Host:
        """What a transport connects to; no other key and no other known_hosts is asked."""
        return Host(self.address, self.user, self.port, str(self.key_file), str(self.known_hosts_file))

    @property
    def home(self) -> Path:
        """The home folder of a login on this machine."""
        return self.folder / "home"

    @property
    def base_url(self) -> str:
        """The Bot API stand-in, as the board reaches it."""
        return f"https://127.0.0.1:{self.bot_api_port}"

    @property
    def ca_file(self) -> Path:
        """The stand-in's throw-away authority, PEM."""
        return self.folder / "ca.pem"

    def token(self) -> Secret:
        """The token of the stand-in's one bot."""
        return Secret((self.folder / "token").read_bytes())

    def user_side(self) -> UserSide:
        """The users of the stand-in, in its daemon."""
        return AskedUserSide(partial(ask, self))


def daemon_log(folder: Path) -> str:
    """The end of what the daemon of the board in `folder` logged, safe to show."""
    with suppress(OSError):
        return clean((folder / "daemon.log").read_bytes(), 4000)
    return ""


def ask(board: KeptBoard, operation: str, arguments: dict[str, Any], deadline_s: float = _ASK_S) -> dict[str, Any]:
    """Ask the daemon for an operation: one line of JSON there, one back. Raises LoopbackFailed, ValueError."""
    problem = "the Bot API stand-in does not answer"
    try:
        secret = (board.folder / "control").read_text(encoding="ascii")
        question = json.dumps({"secret": secret, "operation": operation, "arguments": arguments}).encode() + b"\n"
        with socket.create_connection((board.address, board.control_port), timeout=deadline_s) as connection:
            connection.sendall(question)
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline(_MOST_ANSWER_BYTES))
    except (OSError, ValueError) as error:
        raise LoopbackFailed(problem, board.name, log=daemon_log(board.folder)) from error
    if "unexpected keyword argument" in str(answer.get("error", "")):
        raise LoopbackFailed(
            "the board was brought up by another version of slimdeploy, which can't do that", board.name
        )
    if "error" in answer:
        raise ValueError(answer["error"])
    result: dict[str, Any] = answer["result"]
    return result
