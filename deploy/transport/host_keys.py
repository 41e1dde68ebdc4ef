"""Knows whose host keys are trusted: ours, in a file of our own, and the user's known_hosts, which is only read.

An unknown key is refused unless it was asked to be taken; a changed or revoked one always (known_hosts: sshd(8),
"SSH_KNOWN_HOSTS FILE FORMAT"). Paramiko's own reading of such files is not used: it keeps one key a type, knows no
patterns, and asks the server for the first of the known types alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient, Transport

from deploy.errors import HostKeyChanged, HostKeyUnknown
from deploy.folders import config_folder
from deploy.model.host import Host
from deploy.transport.file_version import FileVersion

SSH_PORT = 22

PINNED = Path("the inventory")
"""What stands for the file's name where a key is pinned."""

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
"""The types that we can ask for. Others say nothing about a host: a hardware key's, or DSA's of long ago."""

RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")
"""How a key of the type ssh-rsa signs; SHA-1 is gone (RFC 8332)."""


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
class KnownKey:
    """One line's key. `kind` is its type as the line has it: ssh-ed25519."""

    kind: str
    blob: bytes
    file: Path

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it: SHA256:, base64 without padding."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys that one connection is held against, and where a new one would be written."""

    files: tuple[Path, ...]
    accept_new: bool
    pinned: tuple[str, ...] = ()
    """Keys or fingerprints that the inventory names; with any, no file says what is trusted, only what is revoked."""

    @classmethod
    def of(cls, host: Host, *, accept_new: bool) -> Trust:
        """A host that brings its own known_hosts, or keys, is held against those alone, and nothing is ever added."""
        if host.host_keys:
            return cls((own_file(), *_user_files()), accept_new=False, pinned=host.host_keys)
        if host.known_hosts is not None:
            return cls((Path(host.known_hosts),), accept_new=False)
        return cls((own_file(), *_user_files()), accept_new)

    def known(self, address: str, port: int) -> list[KnownKey]:
        """The keys that are remembered for a host, ours first."""
        if self.pinned:
            lines = (_parsed(f"* {line}", PINNED) for line in self.pinned)
            return [found[2] for found in lines if found and found[2].kind in KINDS]
        name = known_name(address, port)
        return [key for marker, names, key in self._lines() if not marker and key.kind in KINDS and _match(names, name)]

    def revoked(self, blob: bytes) -> KnownKey | None:
        """The line that marks a key as revoked, for whatever host."""
        return next((key for marker, _, key in self._lines() if marker == "@revoked" and key.blob == blob), None)

    def preferred(self, transport: Transport, address: str, port: int) -> None:
        """Ask the server for keys of the known types first: one that has others too must not look unknown."""
        security = transport.get_security_options()
        offered = tuple(security.key_types)
        first = [kind for key in self.known(address, port) for kind in _algorithms(key.kind) if kind in offered]
        security.key_types = tuple(dict.fromkeys((*first, *offered)))

    def judge(self, address: str, port: int, key: PKey) -> None:
        """Raises HostKeyChanged or HostKeyUnknown; returns where `key` is trusted, or is from now on."""
        offered = KnownKey(key.get_name(), key.asbytes(), own_file())
        where = str(Host(address, port=None if port == SSH_PORT else port))  # as `hosts.forget-key` takes it
        if bad := self.revoked(offered.blob):
            raise HostKeyChanged(where, offered.fingerprint, "as revoked", str(bad.file))
        if self.pinned and offered.fingerprint in self.pinned:
            return
        known = self.known(address, port)
        if any(each.blob == offered.blob for each in known):
            return
        if self.pinned:
            named = {*(each.fingerprint for each in known), *(key for key in self.pinned if key.startswith("SHA256:"))}
            raise HostKeyChanged(where, offered.fingerprint, ", ".join(sorted(named)), str(PINNED))
        if known:
            # Keys of another type were asked for first: it is another machine, or a new system on it.
            remembered = ", ".join(dict.fromkeys(each.fingerprint for each in known))
            raise HostKeyChanged(where, offered.fingerprint, remembered, str(known[0].file))
        if not self.accept_new:
            raise HostKeyUnknown(where, offered.kind, offered.fingerprint, str(key.get_base64()))
        _append(own_file(), f"{known_name(address, port)} {offered.kind} {key.get_base64()}\n")

    def _lines(self) -> Iterator[tuple[str, str, KnownKey]]:
        for file in self.files:
            version = None
            with suppress(OSError):  # none is there, or not for us
                version = FileVersion.of(file)
            kept, lines = _READ.get(file, (None, ()))
            if version is None or kept != version:
                lines = tuple(found for line in _text(file) if (found := _parsed(line, file)))
                _READ[file] = version, lines
            yield from lines


class JudgedByUs(MissingHostKeyPolicy):  # type: ignore[misc]  # Paramiko has no types
    """What Paramiko asks for every key, as it is told of none."""

    def __init__(self, trust: Trust, address: str, port: int, *, of_jump_host: bool) -> None:
        self.trust, self._address, self._port, self._of_jump_host = trust, address, port, of_jump_host

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        """See `Trust.judge`."""
        try:
            self.trust.judge(self._address, self._port, key)
        except HostKeyUnknown as error:
            error.of_jump_host = self._of_jump_host
            raise


_READ: dict[Path, tuple[FileVersion | None, tuple[tuple[str, str, KnownKey], ...]]] = {}
"""What each file held, and when that was: a fleet's hosts are not each held against a file that is read anew."""


def _algorithms(kind: str) -> tuple[str, ...]:
    return RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)


def _text(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # there is none, or it is not ours to read


def _parsed(line: str, file: Path) -> tuple[str, str, KnownKey] | None:
    """(marker or "", names, key) of one line; None for a comment and for what can't be read."""
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#"):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return marker, words[0], KnownKey(words[1], blob, file)


def _match(names: str, name: str) -> bool:
    """Whether a line's first word means `name`: names and patterns with * and ?, some of them negated, or a hash."""
    found = False
    for pattern in names.split(","):
        if pattern.startswith("|"):
            found = found or _is_hash_of(pattern, name)
        elif _is_pattern_of(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _is_pattern_of(pattern: str, name: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern.lower() == name.lower()
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, name, re.IGNORECASE) is not None


def _is_hash_of(hashed: str, name: str) -> bool:
    """`|1|salt|HMAC-SHA1`, each in base64 (ssh-keygen(1), -H)."""
    words = hashed.split("|")
    if len(words) != 4 or words[1] != "1":
        return False
    try:
        salt, digest = (base64.b64decode(word, validate=True) for word in words[2:])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.lower().encode(), "sha1"), digest)


def _append(file: Path, line: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as lines:
        os.fchmod(descriptor, 0o600)
        before = lines.read()
        # In one write, as others may append too.
        lines.write((b"\n" if before and not before.endswith(b"\n") else b"") + line.encode())


def remember(host: Host, kind: str, body: str) -> None:
    """Trust a key of `host` that somebody has looked at; `body` is its base64."""
    _append(own_file(), f"{known_name(host.address, host.port or SSH_PORT)} {kind} {body}\n")


def forget(host: Host) -> int:
    """Remove the keys of `host` from our own file; how many they were. The user's own files are not touched.

    A host without a port means that address at every port; of hashed names, at the port 22.
    """
    file = own_file()
    if not file.is_file():
        return 0
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if not _is_of(line.split(), host)]
    if len(kept) < len(lines):
        part = file.with_name(f".{file.name}.{os.getpid()}")
        part.touch(mode=0o600)
        part.write_text("".join(kept), encoding="utf-8")
        part.replace(file)
    return len(lines) - len(kept)


def _is_of(words: list[str], host: Host) -> bool:
    name = known_name(host.address, host.port or SSH_PORT)
    return any(
        _is_hash_of(each, name)
        if each.startswith("|")
        else each.lower() == name.lower()
        or (host.port is None and each.lower().startswith(f"[{host.address.lower()}]:"))
        for each in (words[0].split(",") if words else [])
    )
