"""Knows whose host keys are trusted: ours, in a file of our own, and the user's known_hosts, which is only read.

An unknown key is refused unless it was asked to be taken; a changed or revoked one always (known_hosts: sshd(8),
"SSH_KNOWN_HOSTS FILE FORMAT").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient, SSHException
from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey

from deploy.errors import HostKeyChanged, HostKeyUnknown
from deploy.folders import config_folder
from deploy.model.host import Host

SSH_PORT = 22

_HASHED = re.compile(r"\|1\|[A-Za-z0-9+/]{27}=\|[A-Za-z0-9+/]{27}=")
"""A hashed name: 20 bytes of salt and 20 of HMAC-SHA1, in base64 (ssh-keygen(1), -H)."""


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
        for file in reversed(self.files):  # what is added last wins: ours, where a key was accepted anew
            for name, key in _entries(file):
                if not self.revoked(key):
                    keys.add(name, key.get_name(), key)
        client.set_missing_host_key_policy(_Policy(self, keys))

    def remembering(self, name: str) -> Path:
        """The file in which a key of `name` stands; ours where none holds one."""
        for file in self.files:
            keys = HostKeys()
            for known, key in _entries(file):
                keys.add(known, key.get_name(), key)
            if keys.lookup(name):
                return file
        return self.files[0]

    def revoked(self, key: PKey) -> bool:
        """Whether one of the files marks `key` as revoked, for whatever host."""
        encoded = key.get_base64()
        lines = (line.split() for file in self.files for line in _lines(file))
        return any(words[:1] == ["@revoked"] and encoded in words[2:] for words in lines)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # there is none, or it is not ours to read


def _entries(file: Path) -> Iterator[tuple[str, PKey]]:
    """The names and keys in a known_hosts file; comments, marked lines and lines that can't be read are passed over."""
    for number, line in enumerate(_lines(file), 1):
        if line.startswith(("#", "@")) or not line.strip():
            continue
        with suppress(InvalidHostKey, SSHException, ValueError):
            entry = HostKeyEntry.from_line(line, number)
            if entry is not None and entry.key is not None:
                for name in entry.hostnames:
                    if not name.startswith("|") or _HASHED.fullmatch(name):
                        yield name, entry.key


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
