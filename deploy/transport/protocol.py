"""Knows what can be asked of a host: run a script, talk to a port there, lead a port there back here.

What the scripts say is `board_shell`'s and `service`'s; how they travel is `transport/ssh.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.model.secret import Secret

_SHOWN_BYTES = 8192
"""A longer standard input is named in a dry run, and not shown."""

PACKINGS = ("", "gzip", "xz", "zstd")
"""How a payload may be compressed; "" is not at all."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A part of a file on the controller, compressed while it travels."""

    path: Path
    how: str
    """One of PACKINGS."""
    size_bytes: int
    """How many bytes of the file, from `start` on; before they are compressed."""
    start: int = 0


Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) while a payload travels; of what is compressed, as it was before."""


@dataclass(frozen=True, slots=True)
class Script:
    """POSIX sh text for a board, as a value. Only a transport runs one; `--dry-run` prints the same text.

    Without a payload the text itself travels on standard input (a long script would not fit into the 9,000 bytes that
    Dropbear takes as a command: MAX_CMD_LEN in its sysoptions.h), and its commands read from /dev/null. With a payload
    the text is the command and the payload its standard input, byte for byte.
    """

    title: str
    """What it does, for people: "write the config"."""
    text: str
    payload: bytes | Secret | Path | Packed | None = None
    """What the script reads from its standard input; a Path is a file on the controller."""
    changes: bool = True
    """False where the script only looks: such a script runs in a dry run too."""
    deadline_s: float = 30.0

    def shown(self) -> str:
        """What a dry run prints: the text, and what would be on its standard input; never a secret."""
        lines = [f"# {self.title}", self.text.rstrip("\n")]
        if isinstance(self.payload, Secret):
            lines.append(f"# standard input: {len(self.payload.reveal())} bytes that hold a secret (not shown)")
        elif isinstance(self.payload, Path):
            lines.append(f"# standard input: the file {self.payload}")
        elif isinstance(self.payload, Packed):
            packed = self.payload
            part = f" from byte {packed.start} on" if packed.start else ""
            how = f", compressed with {packed.how}" if packed.how else ""
            lines.append(f"# standard input: the file {packed.path}{part}{how}")
        elif self.payload is not None:
            lines.append(f"# standard input: {len(self.payload)} bytes")
            with suppress(UnicodeDecodeError):
                if len(self.payload) <= _SHOWN_BYTES:
                    lines += [f"# | {line}" for line in self.payload.decode().splitlines()]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a script ended. `exit_status` is negative where a signal ended it: minus its number, or -1 over SSH."""

    exit_status: int
    stdout: bytes
    stderr: bytes
    seconds: float
    sent_bytes: int = 0
    """How much of the payload went out, as it travelled."""


class Transport(Protocol):
    """One open connection to one host. Every call has a deadline and raises `deploy.errors.HostError`'s leaves."""

    @property
    def host(self) -> str:
        """The host as the user would write it."""
        ...

    @property
    def round_trips(self) -> int:
        """How many questions were asked so far: each `run`, `stream` and `request` is one."""
        ...

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        """Run `script` and return how it ended, whatever its status.

        Raises DeadlineExceeded after `script.deadline_s` seconds, ConnectionLost, or BadAnswer where it printed more
        than 16 MiB.
        """
        ...

    def stream(self, script: Script, quiet_s: float) -> AbstractContextManager[Iterator[bytes]]:
        """While the context lasts: the lines that `script` prints, without their ends, as they come, on one channel.

        They end where the script ends. Its standard error comes along with its output; it takes no payload, and its
        deadline is for its start alone. Other calls may be made between two lines. At the end of the context the
        channel is closed: a script that goes on printing is ended by that, so one that does not print would go on.
        Dropbear waits for the script instead, and one that printed more than was read ends with the connection.
        Raises, between lines: DeadlineExceeded where none came for `quiet_s` seconds, ConnectionLost, or BadAnswer
        where one has more than 4 KiB. What nobody has read is at most what one channel's window holds.
        """
        ...

    def request(self, port: int, data: bytes, deadline_s: float = 10.0) -> bytes:
        """Send `data` to 127.0.0.1:`port` on the board through a forwarded channel and return all that comes back.

        Reads to the end of the stream, at most 1 MiB. Raises ForwardRefused where the server forwards nothing or
        nothing listens there, DeadlineExceeded, ConnectionLost.
        """
        ...

    def lead_back(self, controller_port: int) -> AbstractContextManager[int]:
        """While the context lasts, a port on the board's 127.0.0.1 (the value) leads to the controller's 127.0.0.1.

        Raises ForwardRefused where the server does not listen for us.
        """
        ...

    def own_address(self) -> str | None:
        """The IP address of the controller's own end of the connection; None where another host lies between."""
        ...

    def close(self) -> None:
        """End the connection. Calling it twice is fine."""
        ...
