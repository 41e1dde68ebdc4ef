"""The program on a terminal of its own, where each prompt gets its answer."""

from __future__ import annotations

import os
import pty
import sys
import time
from contextlib import suppress
from select import select

from program import Slimdeploy


def on_a_terminal(
    slimdeploy: Slimdeploy, command: tuple[str, ...], answers: tuple[tuple[str, str], ...], timeout_s: float = 60
) -> str:
    """What the program shows on a terminal of its own, where each prompt gets its answer."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(slimdeploy.folder)
        os.execve(sys.executable, [sys.executable, "-m", "deploy", *command], slimdeploy.environment())
    shown, left, at = "", list(answers), 0
    until_s = time.monotonic() + timeout_s
    try:
        while time.monotonic() < until_s:
            if not select([terminal], [], [], 0.5)[0]:
                continue
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # the other side has closed it
                piece = b""
            if not piece:
                break
            shown += piece.decode("utf-8", "replace")
            if left and (found := shown.find(left[0][0], at)) >= 0:
                at = found + 1
                time.sleep(0.1)  # getpass turns the echo off first, and drops what was typed before
                os.write(terminal, (left.pop(0)[1] + "\n").encode())
        else:
            raise AssertionError(shown)
    finally:
        os.close(terminal)
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert not left, shown
    return shown
