"""Knows how files travel to workers on other machines: whole, by their hash, into a cache there. Who sends them is
`workers.py`'s.

What is secret never travels so: those files are named, and read where the worker runs.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy import manifest
from deploy.build import MANIFEST, sha256_of
from deploy.errors import MachineFault
from deploy.folders import cache_folder
from deploy.model.artifact import Artifact

MARK = "sha256:"
"""What a path of a file begins with that travels; its hash follows."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """The bytes of one file, and where they go below the cache."""

    place: str
    sha256: str
    content: bytes

    def __repr__(self) -> str:
        return f"Parcel({self.place}, {len(self.content)} bytes)"


def of_file(path: Path) -> Parcel:
    """A file that is no secret. Raises OSError."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Parcel(f"parcels/{digest}", digest, content)


def of_artifact(artifact: Artifact) -> tuple[Parcel, ...]:
    """The binary and its manifest, to where a build puts them: later a difference to it can be sent. Raises OSError."""
    told = manifest.render(artifact).encode()
    folder = f"artifacts/{artifact.source_digest}"
    return (
        Parcel(f"{folder}/{artifact.name}", artifact.sha256, artifact.path.read_bytes()),
        Parcel(f"{folder}/{MANIFEST}", hashlib.sha256(told).hexdigest(), told),
    )


def artifact_here(artifact: Artifact) -> Artifact:
    """The artifact of a parcel, as it lies on this machine."""
    return replace(artifact, path=_cache() / "artifacts" / artifact.source_digest / artifact.name)


def reference(parcel: Parcel) -> str:
    """What stands in a setting in place of the file's path."""
    return f"{MARK}{parcel.sha256}"


def file_here(path: str) -> str:
    """The path on this machine of what a `reference` names; any other path as it is."""
    return str(_cache() / "parcels" / path.removeprefix(MARK)) if path.startswith(MARK) else path


def unpack(parcels: Sequence[Parcel]) -> int:
    """Put them in place, each whole or not at all; how many were not there already.

    Raises MachineFault where one can't be written, or is not what it says it is.
    """
    return sum(_put(parcel) for parcel in parcels)


def _put(parcel: Parcel) -> bool:
    path = _cache() / parcel.place
    if hashlib.sha256(parcel.content).hexdigest() != parcel.sha256:
        raise MachineFault(f"what arrived for {path} is not what was sent")
    try:
        if path.is_file() and sha256_of(path) == parcel.sha256:
            return False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(parcel.content)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineFault(f"{path} can't be written: {error.strerror or error}") from error
    return True


def _cache() -> Path:
    return cache_folder().absolute()
