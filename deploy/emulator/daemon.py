"""Knows how the loopback board serves: an SSH server, a Bot API stand-in and a control port, all on 127.0.0.1.

Run as a process of its own by `keeper.py`, which also ends it. Its arguments: the board's name and its folder, in which
settings.json says whether it has SFTP.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import os
import secrets
import signal
import sys
from pathlib import Path

import asyncssh

from deploy.emulator.control import Control
from deploy.emulator.private_files import create
from deploy.emulator.serving import free_port, say_up
from deploy.emulator.sessions import Sessions
from deploy.model.secret import Secret
from deploy.telegram.bot_api import BotApi
from deploy.telegram.certificate import make_certificate
from deploy.telegram.operations import Operations


class _Guard(asyncssh.SSHServer):
    """Who may do what: only the throw-away key logs in, and ports are forwarded to and from loopback alone."""

    def __init__(self, user: str, key: asyncssh.SSHKey) -> None:
        self._user = user
        self._key = key.public_data

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._user and key.public_data == self._key

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return False

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        if dest_host not in ("127.0.0.1", "localhost"):
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "forwards end on loopback only")
        return True

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return listen_host in ("127.0.0.1", "localhost")


async def serve(name: str, folder: Path, sftp: bool) -> None:
    """Serve until SIGTERM."""
    user = _login()
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    user_key = asyncssh.generate_private_key("ssh-ed25519")
    create(folder / "id_ed25519", user_key.export_private_key("openssh"))
    create(folder / "control", secrets.token_hex(32).encode())
    token = Secret((folder / "token").read_bytes())
    certificate = make_certificate()
    bot_api = BotApi(token, certificate)
    await bot_api.start()
    create(folder / "ca.pem", certificate.ca_pem)
    control = Control(Operations(bot_api), (folder / "control").read_text(encoding="ascii"))
    control_port = await control.start()
    sessions = Sessions(_environment(user, folder))
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Guard(user, user_key),
        server_host_keys=[host_key],
        process_factory=sessions.serve,
        sftp_factory=sftp,
        allow_scp=sftp,
        encoding=None,
        line_editor=False,
        allow_pty=False,
        agent_forwarding=False,
        compression_algs=None,
        login_timeout=20,
    )
    port = server.get_port()
    public = host_key.export_public_key("openssh").decode().strip()
    say_up(
        name,
        folder,
        host_key=public,
        port=port,
        user=user,
        bot_api_port=bot_api.port,
        control_port=control_port,
        health_port=free_port(),
        sftp=sftp,
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()
    await control.stop()
    await bot_api.stop()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that no password file knows
        return f"user{os.getuid()}"


def _environment(user: str, folder: Path) -> dict[str, str]:
    """What a login gets: nothing of the controller's own environment but the PATH."""
    mark, _, value = (folder / "mark").read_text(encoding="ascii").partition("=")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder / "home"),
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        mark: value,
    }


def main() -> None:
    """Serve; whoever waits for us sees our end, and our log."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    sftp = json.loads((folder / "settings.json").read_text(encoding="utf-8"))["sftp"] is True
    # Handlers, not SIG_IGN: a signal that is ignored here would be ignored by every command of every session (exec(2)),
    # and a command has to go with its session. INT and QUIT come ignored from the shell that started us (sh(1), "&").
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, _pass_by)
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    asyncio.run(serve(name, folder, sftp))


def _pass_by(number: int, frame: object) -> None:
    """A terminal's signals mean nothing to a daemon."""


if __name__ == "__main__":
    main()
