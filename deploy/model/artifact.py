"""Knows what one built binary is, and the release that it becomes on a host. Building one is others' work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.model.target import Target

RELEASE_ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Artifact:
    """One built binary. Every field but `path` goes into the manifest beside it."""

    path: Path
    name: str
    """The file's name on the board: "picoclaw" for the in-repo gateway."""
    size_bytes: int
    sha256: str
    target: Target
    tags: tuple[str, ...]
    ldflags: str
    package: str
    version: str
    toolchain: str
    """What `go version` says: "go1.27.3"."""
    revision: str
    """The source's git revision, with "+dirty" where files differ from it, or "" outside a checkout."""
    source_digest: str
    """Hash over the source tree and everything else that goes into the build: the key of the build cache."""
    elf: str
    """The header that was read back, such as "ELF 64-bit LSB EM_RISCV, static"."""

    @property
    def release_id(self) -> str:
        """The folder's name under `releases/` on a host."""
        return self.sha256[:RELEASE_ID_LENGTH]
