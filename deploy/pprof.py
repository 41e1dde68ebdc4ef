"""Knows how `go tool pprof` shows a profile; taking one is `deploy/memory/profiling.py`'s."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from deploy.build import DEADLINE_S, gocache, inherited
from deploy.errors import BuildFailed
from deploy.model.display import clean
from deploy.toolchain import Toolchain

_OWN = r"^(net/http/pprof|runtime/pprof)\."
"""What the profiler itself has allocated, and all that it calls for that: nothing of the program's."""


def top(profile: Path, toolchain: Toolchain, *, rows: int, sample: str) -> str:
    """What `go tool pprof -top` prints of a profile: `sample` is one of its values, such as "inuse_space".

    What the profiler has allocated for itself is left out. A Go profile carries its functions' names, so no binary is
    needed. The tool is compiled the first time, where the toolchain has it in source only. Raises BuildFailed with
    what it printed.
    """
    flags = ("-top", f"-nodecount={rows}", f"-sample_index={sample}", f"-ignore={_OWN}")
    command = [str(toolchain.path), "tool", "pprof", *flags]
    with tempfile.TemporaryDirectory(prefix="slimdeploy-pprof-") as scratch:
        own = {
            "GOCACHE": gocache(),
            "GOENV": "off",
            "GOFLAGS": "",
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "GOTMPDIR": scratch,
            "PPROF_TMPDIR": scratch,
        }
        try:
            done = subprocess.run(
                [*command, str(profile)],
                env=inherited() | own,
                cwd=scratch,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=DEADLINE_S,
                check=False,
            )
        except OSError as error:
            raise BuildFailed(f"{command[0]} can't be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise BuildFailed(f"go tool pprof did not end within {DEADLINE_S:.0f} s") from None
    if done.returncode != 0:
        raise BuildFailed(f"go tool pprof ended with status {done.returncode}", clean(done.stderr).strip())
    return done.stdout.decode("utf-8", "replace").rstrip()
