"""Knows how a file that a command was asked for is put in place: whole or not at all, readable by others."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from deploy.errors import MachineFault


def put(path: Path, content: bytes) -> None:
    """Write `content` in place of what was there. Readable by others: a collector or a CI system is another user.

    Raises MachineFault.
    """
    try:
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(part).chmod(0o644)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineFault(f"{path} can't be written: {error.strerror or error}") from error
