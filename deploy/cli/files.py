"""Knows how a file that a command was asked for is put in place, whole or not at all; what is no file is left alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from deploy.errors import MachineFault, UsageError


def named(text: str, flag: str) -> Path:
    """The file that --`flag` names, before any work is done; a symlink stands for its target, there or not.

    Raises UsageError for what can't be replaced by a file: a folder, a device, a pipe, a socket; or standard output.
    """
    if text == "-":
        raise UsageError(f"--{flag}: - names no file here: name one")
    path = Path(text).expanduser().absolute()
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"--{flag}: {text} is no ordinary file")
        # A new file takes the place of the old one by its name: a link's own place is not the one that is meant.
        real = Path(os.path.realpath(path)) if path.is_symlink() else path
        if real.is_symlink():
            raise UsageError(f"--{flag}: {text} is a link that leads nowhere")
        if not real.parent.is_dir():
            raise UsageError(f"--{flag}: there is no folder {real.parent}")
    except OSError as error:
        raise UsageError(f"--{flag}: {text} can't be written: {error.strerror or error}") from None
    return real


def put(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` in place of what was there. Readable by others: a collector or a CI system is another user.

    Raises MachineFault.
    """
    try:
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(part).chmod(mode)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineFault(f"{path} can't be written: {error.strerror or error}") from error
