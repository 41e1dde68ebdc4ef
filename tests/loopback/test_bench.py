"""`memory.bench`: membench itself on the loopback board, its phases held against this machine's kernel.

It ends the bench that it started, in the middle, to see what is said then; nothing of either is left.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from program import Slimdeploy

from deploy.board_shell.bench import PHASES
from deploy.emulator import loopback
from deploy.emulator.kept import KeptBoard

pytestmark = pytest.mark.usefixtures("gateway_is_built")


def bench_pid(board: KeptBoard) -> int:
    """The bench's process, once it has told its first phase."""
    run = board.home / ".picoclaw" / "run"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError, IndexError, ValueError):
            own = next(iter(run.glob("bench-*")), run)
            if "[mem 1-baseline" in (own / "log" / "gateway.log").read_text():
                return int((own / "run" / "gateway.pid").read_text().split()[0])
        time.sleep(0.01)
    raise AssertionError("the bench does not start")


def test_each_phase_is_held_against_the_kernel_and_nothing_is_left(slimdeploy: Slimdeploy, board: KeptBoard) -> None:
    ended = slimdeploy(
        "memory.bench", "--board", "local", "--messages", "330", "--kinds", "all", "--json", timeout_s=280
    )
    assert ended.code == 0, ended.err + ended.out
    found = ended.document
    assert (found["verdict"], found["kind"], found["not_asked"]) == ("PASS", "bench", [])
    assert found["reason"].startswith("bench: VmRSS ")
    phases = found["reading"]["phases"]
    assert [phase["name"] for phase in phases] == list(PHASES)
    for phase in phases:
        assert phase["told_rss_kib"] - phase["vm_rss_kib"] == phase["gap_kib"]
        assert abs(phase["gap_kib"]) < 1024 < phase["vm_rss_kib"]
    assert phases[-1]["collections"] >= phases[0]["collections"]
    proofs = {proof["name"]: proof for proof in found["evidence"]}
    assert all(proofs[name]["ok"] for name in ("phases_told", "phases_agree", "limits", "executable", "same_process"))
    assert "264 messages produced, 264 consumed, 264 answered" in proofs["did_the_work"]["detail"]
    assert proofs["limits"]["detail"].startswith("GOMEMLIMIT=5MiB, GOGC=20, GOMAXPROCS=1")
    pid = found["process"]["pid"]
    assert not Path(f"/proc/{pid}").exists()
    assert not (board.home / ".picoclaw").exists(), "no gateway was installed, and none is now"
    assert loopback.status("local") is not None, "it was up before"


def test_a_bench_that_is_killed_in_the_middle_is_not_measured(slimdeploy: Slimdeploy, board: KeptBoard) -> None:
    with slimdeploy.start("memory.bench", "--board", "local", "--messages", "300000", "--json") as running:
        os.kill(bench_pid(board), signal.SIGKILL)
        out, err = running.communicate(timeout=120)
    assert running.returncode == 3, err + out
    document = json.loads(out)
    assert document["verdict"] == "NOT MEASURED" and "KiB" not in document["reason"]
    assert document.get("reading") is None
    assert not (board.home / ".picoclaw").exists()


@pytest.mark.parametrize(
    "flags", [("--kinds", "caption"), ("--messages", "0"), ("--budget", "5 apples"), ("--board", "nano")]
)
def test_wrong_usage_touches_nothing(slimdeploy: Slimdeploy, flags: tuple[str, ...]) -> None:
    ended = slimdeploy("memory.bench", *(() if "--board" in flags else ("--board", "local")), *flags)
    assert ended.code == 2, ended.err + ended.out
    assert loopback.status("local") is None
