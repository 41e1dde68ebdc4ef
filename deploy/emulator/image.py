"""Knows what the image of an emulated machine is; `images.py` keeps them, `image_making.py` makes one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAMES = ("kernel", "initrd", "system")
"""The files that are an image: `system` is an archive that follows the initrd where a flash is made of it.
image.json beside them says what they are."""


@dataclass(frozen=True, slots=True)
class Image:
    """A machine's image in the cache. `packages` names each package with its version and SHA-256."""

    name: str
    folder: Path
    kernel_release: str
    made_at: str
    """UTC, ISO 8601."""
    packages: tuple[str, ...]
    hashes: dict[str, str]
    """SHA-256 of each file."""

    @property
    def size_bytes(self) -> int:
        """What it takes in the cache."""
        return sum((self.folder / name).stat().st_size for name in NAMES)
