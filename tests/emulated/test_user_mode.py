"""A program under QEMU's user-mode emulation is no measurement: the process is the emulator's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateways import QUICK, Gateways
from readings import failed, names_no_figure

from deploy import toolchain
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.model.verdict import Budget, Outcome
from deploy.transport.local import LocalTransport

_EMULATOR = "qemu-riscv64-static"
_PROGRAM = 'package main\n\nimport "time"\n\nfunc main() { time.Sleep(time.Hour) }\n'


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    made = Gateways(tmp_path / "prefix")
    made.binary.parent.mkdir(parents=True)
    yield made
    made.end()


@pytest.fixture
def riscv64_program(tmp_path: Path, session_go_cache: Path) -> Path:
    source = tmp_path / "sleeper"
    source.mkdir()
    (source / "go.mod").write_text("module sleeper\n\ngo 1.24\n")
    (source / "main.go").write_text(_PROGRAM)
    go = toolchain.find().path
    environment = {
        "PATH": os.environ["PATH"],
        "GOCACHE": str(session_go_cache),
        "HOME": str(tmp_path),
        "GOARCH": "riscv64",
        "GOOS": "linux",
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
    }
    subprocess.run((go, "build", "-o", "picoclaw", "."), cwd=source, env=environment, check=True, timeout=250)
    return source / "picoclaw"


@pytest.mark.install_check
@pytest.mark.skipif(
    shutil.which(_EMULATOR) is None, reason=f"{_EMULATOR} is not installed (apt-get install qemu-user-static)"
)
def test_a_riscv64_program_under_user_mode_emulation_is_not_measured(gateways: Gateways, riscv64_program: Path) -> None:
    shutil.copy(riscv64_program, gateways.binary)
    pid = gateways.supervise(_EMULATOR, str(gateways.binary))
    reading = idle_reading(LocalTransport(), gateways.subject(pid=pid), pace=QUICK)
    verdict = judge(reading, Budget(rss_kib=1 << 30))
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert names_no_figure(verdict), verdict.reason
    assert {"executable", "real_kernel"} <= failed(reading)
    assert _EMULATOR in verdict.reason or "emulat" in verdict.reason, verdict.reason
