"""Knows what both daemons do alike when they serve a board: find a port, and say that the board is up.

Who waits for it is `keeper.py`, and what stands in the state is `kept.py`'s `KeptBoard`.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.emulator.private_files import create
from deploy.emulator.processes import start_ticks
from deploy.model.reading import Process


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def say_up(name: str, folder: Path, *, host_key: str, port: int, **state: Any) -> None:
    """Write known_hosts, then state.json, which appears whole: this process serves the board from now on."""
    create(folder / "known_hosts", f"[127.0.0.1]:{port} {host_key}\n".encode())
    daemon = asdict(Process(os.getpid(), start_ticks(os.getpid()) or 0))
    part = folder / ".state.part"
    create(part, json.dumps({"daemon": daemon, "port": port, **state}).encode())
    part.replace(folder / "state.json")
    logging.info("%s is up", name)
