"""A Debian archive of a test's own: packages by dpkg-deb, indexes by hand, signed with a throw-away key."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_DEADLINE_S = 60


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs, and the file with its public half."""

    home: Path
    keyring: Path

    def clear_sign(self, text: str) -> bytes:
        """As InRelease has it."""
        return _gpg(self.home, "--clear-sign", data=text.encode())


@contextmanager
def signer() -> Iterator[Signer]:
    """A throw-away key. Its folder has a short path, for the agent's socket (unix(7): 108 bytes)."""
    home = Path(tempfile.mkdtemp(prefix="key-"))
    try:
        _gpg(home, "--passphrase", "", "--quick-generate-key", "archive@example.org", "ed25519", "sign", "1d")
        keyring = home / "archive.gpg"
        keyring.write_bytes(_gpg(home, "--export"))
        keyring.chmod(0o644)
        yield Signer(home, keyring)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, timeout=_DEADLINE_S)
        shutil.rmtree(home, ignore_errors=True)


def _gpg(home: Path, *arguments: str, data: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--yes", "--quiet", "--no-tty", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=_DEADLINE_S).stdout


class DebianArchive:
    """Under `folder`, one architecture; suites are published with the packages that were added so far."""

    def __init__(self, folder: Path, architecture: str) -> None:
        self.folder = folder
        self._architecture = architecture
        self._entries: list[str] = []
        (folder / "pool").mkdir(parents=True)

    def add(self, name: str, files: Mapping[str, bytes], **fields: str) -> Path:
        """A package, built; its file."""
        control = {
            "Package": name,
            "Version": "1.0-1",
            "Architecture": self._architecture,
            "Maintainer": "Nobody <nobody@example.org>",
            "Description": "a test's own",
            **fields,
        }
        text = "".join(f"{key}: {value}\n" for key, value in control.items())
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "DEBIAN").mkdir()
            (Path(scratch) / "DEBIAN/control").write_text(text)
            for path, data in files.items():
                (Path(scratch) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(scratch) / path).write_bytes(data)
            Path(scratch).chmod(0o755)
            made = self.folder / "pool" / f"{name}_1.0-1_{self._architecture}.deb"
            command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", scratch, str(made)]
            subprocess.run(command, check=True, capture_output=True, timeout=_DEADLINE_S)
        data = made.read_bytes()
        where = f"Filename: pool/{made.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        self._entries.append(text + where)
        return made

    def publish(self, suite: str, code_name: str, key: Signer | None, *, fits: bool = True) -> None:
        """The suite's index and Release, signed with `key`; where it does not fit, the index is another than signed."""
        name = f"main/binary-{self._architecture}/Packages"
        index = "\n".join(self._entries).encode()
        digest = hashlib.sha256(index).hexdigest()
        release = (
            f"Origin: Debian\nSuite: {suite}\nCodename: {code_name}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
            f"Architectures: {self._architecture}\nComponents: main\nSHA256:\n {digest} {len(index)} {name}\n"
        )
        folder = self.folder / "dists" / suite
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(index if fits else index.replace(b"1.0-1", b"1.0-2"))
        if key is None:
            (folder / "Release").write_text(release)
        else:
            (folder / "InRelease").write_bytes(key.clear_sign(release))
