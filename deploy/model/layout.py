"""Knows where things lie on a board, under its prefix. Paths are POSIX text; "~/" is the login's home."""

from __future__ import annotations

from dataclasses import dataclass

_SYSTEM_FOLDERS = {
    *("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "media", "mnt", "opt", "overlay", "proc", "rom"),
    *("root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"),
}

MANAGERS_TEXTS = ("supervise", "launch", "note", "manager")
"""Below run/: what the service managers write there. One that took over leaves the texts of the one before."""


def prefix_fault(prefix: str) -> str | None:
    """Why `prefix` can't be one, as a clause; None where it can: a folder of its own, in which nothing else lives."""
    parts = [part for part in prefix.removeprefix("~").split("/") if part]
    is_own = bool(parts) and not {".", "..", "~"} & set(parts)
    if prefix.startswith("/") and len(parts) == 1 and parts[0] in _SYSTEM_FOLDERS:
        is_own = False
    if prefix.startswith(("/", "~/")) and is_own and not any(ord(character) < 32 for character in prefix):
        return None
    return 'not a folder of its own that begins with "/" or "~/"'


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths under `prefix` for a binary called `name`."""

    prefix: str
    name: str = "picoclaw"

    @property
    def releases(self) -> str:
        """The folder that holds one folder a release."""
        return f"{self.prefix}/releases"

    def release(self, release_id: str) -> str:
        """The folder of one release."""
        return f"{self.releases}/{release_id}"

    def binary(self, release_id: str) -> str:
        """The installed binary of one release."""
        return f"{self.release(release_id)}/{self.name}"

    @property
    def current(self) -> str:
        """The symbolic link to the release that should run."""
        return f"{self.prefix}/current"

    @property
    def previous(self) -> str:
        """The symbolic link to the release before it."""
        return f"{self.prefix}/previous"

    @property
    def config(self) -> str:
        """The gateway's config, mode 0600."""
        return f"{self.prefix}/config.json"

    @property
    def ca_file(self) -> str:
        """The CA bundle that the gateway is told to trust, where it is not the board's own."""
        return f"{self.prefix}/ca.pem"

    @property
    def offset_file(self) -> str:
        """Where the gateway keeps how far it has read its messages; it lies beside the config."""
        return f"{self.prefix}/telegram.offset"

    @property
    def run(self) -> str:
        """Run-time files: the supervisor and the PID files."""
        return f"{self.prefix}/run"

    @property
    def pid_file(self) -> str:
        """One line: the gateway's PID, a space, its start ticks (field 22 of /proc/PID/stat)."""
        return f"{self.run}/gateway.pid"

    @property
    def supervisor_pid_file(self) -> str:
        """The same for the supervisor that restarts the gateway."""
        return f"{self.run}/supervisor.pid"

    @property
    def ended_file(self) -> str:
        """The exit status with which the gateway ended last under this supervisor; not there where it never has."""
        return f"{self.run}/ended"

    @property
    def log(self) -> str:
        """The folder of logs."""
        return f"{self.prefix}/log"

    @property
    def log_file(self) -> str:
        """What the gateway and its supervisor print."""
        return f"{self.log}/gateway.log"
