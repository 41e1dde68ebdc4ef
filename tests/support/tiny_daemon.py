"""A board's daemon that serves nothing: it does what its settings.json says. A keeper's tests need no more of one.

Started in Python's place (`tiny_python`), so its arguments are a daemon's: -m, a module's name, the board's name, and
the folder. Its settings: `say`, pieces for the progress file; `fail`, its last words; `hang`; `child`, to start one.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from deploy.emulator.processes import start_ticks
from deploy.model.reading import Process

_LIFE_S = 120.0
_BETWEEN_S = 0.05


def tiny_python(folder: Path) -> str:
    """The path of a program that a keeper takes for Python; it runs this daemon, whatever module it is asked for."""
    program = folder / "tiny-python"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(__file__)} "$@"\n')
    program.chmod(0o755)
    return str(program)


def _serve(name: str, folder: Path) -> None:
    settings = json.loads((folder / "settings.json").read_text())
    for piece in settings.get("say", []):
        with (folder / "progress").open("a") as file:
            file.write(piece)
        time.sleep(_BETWEEN_S)
    if words := settings.get("fail"):
        sys.exit(words)
    child = subprocess.Popen(["sleep", str(_LIFE_S)]) if settings.get("child") else None
    if not settings.get("hang"):
        (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        state = {
            "daemon": asdict(Process(os.getpid(), start_ticks(os.getpid()) or 0)),
            "user": "root",
            "port": 2222,
            "bot_api_port": 8443,
            "control_port": 9,
            "health_port": settings.get("health_port", 8080),
            "sftp": False,
            "machine": settings.get("machine", ""),
            "facts": {"name": name} | ({"child": str(child.pid)} if child else {}),
        }
        (folder / ".part").write_text(json.dumps(state))
        (folder / ".part").replace(folder / "state.json")
    time.sleep(_LIFE_S)


if __name__ == "__main__":
    _serve(sys.argv[3], Path(sys.argv[4]))
