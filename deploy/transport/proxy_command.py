"""Knows how a command of ~/.ssh/config carries a connection (ssh_config(5), ProxyCommand); what it carries is not its.

Paramiko's own way is not used: where the command ends, it reads on until its time is over, and buries no child.
"""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress

_END_S = 2.0


class CommandSocket(socket.socket):
    """A socket whose other end is a command's standard input and output. Closing it ends the command."""

    _process: subprocess.Popen[bytes]

    @classmethod
    def to(cls, command: str) -> CommandSocket:
        """Run `command` as ssh(1) does, with exec in a shell. What it says on standard error is not shown."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is ours to handle; it ends when we close
            )
        made = cls(fileno=ours.detach())
        made._process = process
        return made

    def close(self) -> None:
        """End the command too: by the end of its input, a SIGTERM, or a SIGKILL after two seconds."""
        super().close()
        process = self._process
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
            return
        process.kill()
        process.wait()
