"""The program as a user runs it: a process of its own, without a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Its standard output, which has to be one JSON document and nothing else."""
        return dict(json.loads(self.out))


class Slimdeploy:
    """The program, run as a user runs it: a process of its own, without a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, str] = {}

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        # A checkout need not be installed for its tests.
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), **self.settings, **(more or {})}

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(env),
        )

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 120) -> Ended:
        with self.start(*arguments, env=env) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except BaseException:
                process.kill()
                raise
        assert "Traceback" not in err + out, err + out
        return Ended(process.returncode, out, err)
