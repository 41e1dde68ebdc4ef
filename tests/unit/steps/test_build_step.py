"""The step Build, with real builds: skipped when it is built already, a value for the dry run, one line about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.errors import ToolchainMissing
from deploy.model.board import Board
from deploy.model.gateway_config import GatewayConfig
from deploy.model.limits import Limits
from deploy.model.secret import Secret
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.model.units import show_bytes
from deploy.steps.build import Build
from deploy.steps.face import Job, LocalCommand, Plan, StepRecord
from deploy.toolchain import Toolchain
from deploy.transport.local import LocalTransport


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def started(self, title: str) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, done: int, total: int) -> None: ...

    def finished(self, record: StepRecord) -> None: ...


@pytest.fixture
def job(tiny: Source) -> Job:
    """A deployment of the tiny module to a RISC-V board; Build asks no host, so nothing answers for one."""
    board = Board("duo", "a board", Target("riscv64"), ram_kib=65536)
    config = GatewayConfig(Secret(b"1:" + b"x" * 35))
    return Job(Plan(board, tiny, Limits(), config, prefix="/opt/tiny", version="0.3"), LocalTransport())


def test_build_runs_once_and_is_skipped_from_then_on(job: Job, go: Toolchain) -> None:
    step, notes = Build(), Notes()
    assert step.skip(job) is None
    assert job.artifact is None
    detail = step.run(job, notes)
    size_bytes = job.built.path.stat().st_size
    assert size_bytes > 500_000
    assert detail == f"tiny 0.3 for linux/riscv64, {show_bytes(size_bytes)}, in {job.built.path}"
    assert notes.notes == [
        f"{go.version} compiles tiny 0.3 for linux/riscv64",
        "holding its ELF header against the target",
    ]

    again = Job(job.plan, job.transport)
    assert step.skip(again) == (
        f"tiny 0.3 for linux/riscv64 is built already from this source (sha256 {job.built.sha256[:8]}…)"
    )
    assert again.artifact == job.artifact
    assert job.transport.round_trips == 0


def test_undo_leaves_the_artifact_for_the_next_time(job: Job, go: Toolchain) -> None:
    step = Build()
    step.run(job, Notes())
    step.undo(job)
    assert step.skip(job)


def test_the_dry_run_s_command_is_a_value_and_writes_nothing(job: Job, go: Toolchain, private_home: Path) -> None:
    (command,) = Build().commands(job)
    assert isinstance(command, LocalCommand)
    assert command.title == "build tiny for linux/riscv64"
    assert command.argv[:2] == (str(go.path), "build")
    assert command.argv[-3] == "-o"
    assert command.argv[-1] == "./cmd/tiny"
    assert command.environment["GOARCH"] == "riscv64"
    assert command.folder == job.plan.source.root
    assert not (private_home / "slimdeploy").exists()
    Build().run(job, Notes())
    assert str(job.built.path) == command.argv[-2]


def test_without_a_go_the_step_names_where_it_looked(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIMDEPLOY_GO", "/nowhere/go")
    with pytest.raises(ToolchainMissing, match="SLIMDEPLOY_GO: /nowhere/go: there is no such file"):
        Build().skip(job)
