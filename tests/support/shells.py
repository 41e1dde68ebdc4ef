"""This machine as a board with another shell: what a script does where sh is BusyBox's and the tools are BusyBox's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.board_shell.quoting import quote
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Progress, Script


def missing(tool: str) -> None:
    """Skip the test where `tool` is not installed."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed (apt-get install {tool})")


class BusyBoxTransport(LocalTransport):
    """Runs scripts with BusyBox's ash, and with nothing on PATH but BusyBox's applets, all but those in `lacking`."""

    def __init__(self, folder: Path, lacking: tuple[str, ...] = ()) -> None:
        missing("busybox")
        super().__init__()
        folder.mkdir(exist_ok=True)
        busybox = shutil.which("busybox")
        assert busybox is not None
        applets = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        for applet in applets:
            if applet not in lacking and not (folder / applet).is_symlink():
                (folder / applet).symlink_to(busybox)
        self._prefix = f"PATH={quote(str(folder))} exec {quote(str(folder / 'sh'))} -c "

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        return super().run(replace(script, text=self._prefix + quote(script.text)), progress)

    def stream(self, script: Script, quiet_s: float) -> AbstractContextManager[Iterator[bytes]]:
        return super().stream(replace(script, text=self._prefix + quote(script.text)), quiet_s)


class DashTransport(LocalTransport):
    """Runs scripts with dash, where /bin/sh may be another shell."""

    def __init__(self) -> None:
        missing("dash")
        super().__init__()

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        return super().run(replace(script, text=f"exec dash -c {quote(script.text)}"), progress)

    def stream(self, script: Script, quiet_s: float) -> AbstractContextManager[Iterator[bytes]]:
        return super().stream(replace(script, text=f"exec dash -c {quote(script.text)}"), quiet_s)
