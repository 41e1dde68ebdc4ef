"""A process as another login sees it, one in its own namespace, a clock that jumps: what a reading makes of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from gateways import QUICK, Gateways
from readings import failed, idle_of, names_no_figure, recorded_answer

from deploy.board_shell.finding import Finding
from deploy.board_shell.quoting import quote
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.subject import Subject
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Outcome
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Progress, Script

LARGE = Budget(rss_kib=1 << 30)


def executed(path: Path) -> bool:
    """Whether a process executes that file by now."""
    for link in Path("/proc").glob("[0-9]*/exe"):
        with suppress(OSError):
            if link.readlink() == path:
                return True
    return False


class Stranger(LocalTransport):
    """A login that is neither root nor the process's user."""

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        enter = "exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "
        return super().run(replace(script, text=enter + quote(script.text)), progress)


def test_a_login_that_may_not_look_at_the_process_measures_nothing(gateways: Gateways) -> None:
    pid, transport = 1, LocalTransport()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv is not installed (apt-get install util-linux)")
        pid, transport = gateways.spawn(str(gateways.binary), "1000").pid, Stranger()
    reading = idle_reading(transport, Subject(gateways.layout, None, None, pid=pid, ours=False), pace=QUICK)
    verdict = judge(reading, LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED and names_no_figure(verdict)
    assert {"executable", "figures_agree"} <= failed(reading)
    assert any("this login may not read" in proof.detail for proof in reading.evidence)


def test_a_process_in_a_pid_namespace_of_its_own_is_measured_and_named(gateways: Gateways) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("this login may not make PID namespaces (run as root)")
    path = gateways.folder / "contained"
    shutil.copy(gateways.binary, path)
    gateways.spawn(unshare, "--pid", "--fork", "--kill-child", str(path), "1000")
    gateways.wait_for(lambda: executed(path))

    def read() -> Reading:
        subject = Subject(gateways.layout, None, None, ours=False, finding=Finding("exe", str(path)))
        return idle_reading(LocalTransport(), subject, pace=QUICK)

    reading = read()
    assert judge(reading, LARGE).outcome is Outcome.PASS
    container = next(proof for proof in reading.evidence if proof.name == "container")
    assert "PID namespace of its own" in container.detail and not container.required


def test_a_board_whose_clock_is_at_1970_is_measured_by_its_uptime_and_the_skew_is_named() -> None:
    right, wrong = recorded_answer(), recorded_answer().edited("clock", r"^\d+", "42")
    readings = [idle_of(answer) for answer in (right, wrong)]
    assert readings[0].samples == readings[1].samples
    assert judge(readings[0], LARGE).outcome is judge(readings[1], LARGE).outcome is Outcome.PASS
    assert readings[1].circumstances["clock skew"].startswith("-")
    assert readings[0].circumstances["taken at"] == readings[1].circumstances["taken at"], "the controller's clock"
