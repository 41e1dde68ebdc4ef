"""Knows whose host keys are trusted: ours, in a file of our own, and the user's known_hosts, which is only read.

An unknown key is refused unless it was asked to be taken; a changed or revoked one always (known_hosts: sshd(8),
"SSH_KNOWN_HOSTS FILE FORMAT").
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient
from paramiko.hostkeys import HostKeys

from deploy.errors import HostKeyChanged, HostKeyUnknown
from deploy.folders import config_folder
from deploy.model.host import Host

SSH_PORT = 22


def own_file() -> Path:
    """Where keys that were accepted are kept."""
    return config_folder() / "known_hosts"


def _user_files() -> tuple[Path, ...]:
    folder = Path("~/.ssh").expanduser()
    return (folder / "known_hosts", folder / "known_hosts2", Path("/etc/ssh/ssh_known_hosts"))


def known_name(address: str, port: int) -> str:
    """What a host is called in known_hosts."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys that one connection is held against, and where a new one would be written."""

    files: tuple[Path, ...]
    accept_new: bool

    @classmethod
    def of(cls, host: Host, *, accept_new: bool) -> Trust:
        """A host that brings its own known_hosts is held against that alone, and nothing is ever added."""
        if host.known_hosts is not None:
            return cls((Path(host.known_hosts),), accept_new=False)
        return cls((own_file(), *_user_files()), accept_new)

    def install(self, client: SSHClient) -> None:
        """Let `client` know the keys, and ask us about every other one."""
        keys = client.get_host_keys()
        for file in self.files:
            if file.is_file() and os.access(file, os.R_OK):
                keys.load(str(file))  # lines that it can't read are passed over
        client.set_missing_host_key_policy(_Policy(self, keys))

    def remembering(self, name: str) -> Path:
        """The file in which a key of `name` stands; ours where none holds one."""
        for file in self.files:
            if file.is_file() and os.access(file, os.R_OK) and HostKeys(str(file)).lookup(name):
                return file
        return self.files[0]

    def revoked(self, key: PKey) -> bool:
        """Whether one of the files marks `key` as revoked, for whatever host."""
        encoded = key.get_base64()
        for file in self.files:
            if file.is_file() and os.access(file, os.R_OK):
                for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                    words = line.split()
                    if words[:1] == ["@revoked"] and encoded in words[2:]:
                        return True
        return False


class _Policy(MissingHostKeyPolicy):  # type: ignore[misc]  # Paramiko has no types
    """What Paramiko asks when it has no key of the offered type for a host."""

    def __init__(self, trust: Trust, keys: HostKeys) -> None:
        self._trust = trust
        self._keys = keys

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        others = self._keys.lookup(hostname)
        if others or self._trust.revoked(key):
            # Keys of another type are remembered, and were asked for first: another machine, or a new system.
            remembered = ", ".join(fingerprint(other) for other in others.values()) if others else "as revoked"
            raise HostKeyChanged(hostname, fingerprint(key), remembered, str(self._trust.remembering(hostname)))
        if not self._trust.accept_new:
            raise HostKeyUnknown(hostname, key.get_name(), fingerprint(key))
        _append(own_file(), f"{hostname} {key.get_name()} {key.get_base64()}\n")


def fingerprint(key: PKey) -> str:
    """As `ssh-keygen -l` prints it: SHA256:, base64 without padding."""
    text: str = key.fingerprint
    return text


def _append(file: Path, line: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as lines:
        lines.write(line)


def forget(host: Host) -> int:
    """Remove the keys of `host` from our own file; how many they were. The user's own files are not touched."""
    file = own_file()
    if not file.is_file():
        return 0
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    bare, ported = host.address, f"[{host.address}]:"

    def is_of_host(line: str) -> bool:
        first, _, _ = line.strip().partition(" ")
        names = first.split(",")
        if host.port is not None:
            return known_name(host.address, host.port) in names
        return any(name == bare or name.startswith(ported) for name in names)

    kept = [line for line in lines if not is_of_host(line)]
    if len(kept) < len(lines):
        part = file.with_name(f".{file.name}.part")
        part.write_text("".join(kept), encoding="utf-8")
        part.chmod(0o600)
        part.replace(file)
    return len(lines) - len(kept)
