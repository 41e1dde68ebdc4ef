"""Trap 1 and 2: whatever is not the gateway itself, alive, under its supervisor, is NOT MEASURED. Real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from gateways import QUICK, Gateways
from readings import failed, names_no_figure

from deploy.board_shell.samples import Pace
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.subject import Subject
from deploy.memory.wrappers import is_wrapper
from deploy.model.reading import Process, Reading
from deploy.model.verdict import Budget, Outcome, Verdict
from deploy.transport.local import LocalTransport

LARGE = Budget(rss_kib=1 << 30)

_LOOKED_AT_S = 1.5
"""After so long the first looks were taken, also on a machine with much else to do."""

_LONG = Pace(steady=100, interval_s=0.03, settle_s=8, most=100)
"""Of so many looks the last ones come after that: with nothing between them they take 3 s."""


def read(subject: Subject, pace: Pace = QUICK) -> tuple[Reading, Verdict]:
    reading = idle_reading(LocalTransport(), subject, pace=pace)
    return reading, judge(reading, LARGE)


def refused(subject: Subject, pace: Pace = QUICK) -> tuple[set[str], str]:
    """The proofs that are missing and the reason; a figure in the reason fails the test."""
    reading, verdict = read(subject, pace)
    assert verdict.outcome is Outcome.NOT_MEASURED, verdict
    assert names_no_figure(verdict), verdict.reason
    return failed(reading), verdict.reason


def test_a_gateway_under_its_supervisor_passes_with_every_proof(gateways: Gateways) -> None:
    pid = gateways.supervise()
    gateways.runs(pid)
    reading, verdict = read(gateways.subject())
    assert failed(reading) == set()
    assert verdict.outcome is Outcome.PASS
    assert verdict.reason.startswith("idle: VmRSS ")
    assert {sample.process.pid for sample in reading.samples} == {pid}


@pytest.mark.parametrize(
    "wrapper",
    [
        pytest.param(["sh", "-c", '"$@" & wait', "sh"], id="sh"),
        pytest.param(["timeout", "1000"], id="timeout"),
        pytest.param(["xargs", "-n", "99", "-a", "/dev/null"], id="xargs"),
        pytest.param([sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"], id="python"),
        pytest.param(["/usr/bin/time", "-v"], id="time", marks=pytest.mark.install_check),
        pytest.param(["strace", "-f", "-o", "/dev/null"], id="strace", marks=pytest.mark.install_check),
        pytest.param(["busybox", "time"], id="busybox time", marks=pytest.mark.install_check),
        pytest.param(["perf", "stat"], id="perf", marks=pytest.mark.install_check),
    ],
)
def test_what_runs_the_gateway_is_not_the_gateway(gateways: Gateways, wrapper: list[str]) -> None:
    if shutil.which(wrapper[0]) is None:
        pytest.skip(f"{wrapper[0]} is not installed (apt-get install time strace busybox linux-perf)")
    pid = gateways.supervise(*wrapper, str(gateways.binary), "1000")
    gateways.child_of(pid)
    missing, reason = refused(gateways.subject(pid=pid if wrapper[0] in ("sh", "/usr/bin/time") else None))
    assert {"right_process", "not_a_wrapper", "executable"} <= missing
    assert reason.startswith("wrong process: ")
    assert "which runs other programs" in reason


def test_a_program_that_replaces_itself_with_the_gateway_is_the_gateway(gateways: Gateways) -> None:
    pid = gateways.supervise("env", "nice", "-n", "1", "nohup", str(gateways.binary), "1000")
    gateways.runs(pid)
    _, verdict = read(gateways.subject())
    assert verdict.outcome is Outcome.PASS


def test_a_qemu_user_mode_emulator_is_a_wrapper_and_so_are_all_that_the_published_script_could_have_used() -> None:
    for name in ("time", "strace", "qemu-riscv64-static", "python3.11", "ld-linux-x86-64.so.2", "ld-musl-armhf.so.1"):
        assert is_wrapper(name)
    for name in ("picoclaw", "sleep", "timekeeper", "shim", "envoy"):
        assert not is_wrapper(name)


def test_another_process_of_the_same_binary_is_not_the_one_that_was_deployed(gateways: Gateways) -> None:
    pid = gateways.supervise()
    gateways.runs(pid)
    other = gateways.spawn(str(gateways.binary), "1000", environment=gateways.subject().limits.environment())  # type: ignore[union-attr]
    gateways.runs(other.pid)
    missing, reason = refused(gateways.subject(pid=other.pid))
    assert {"right_process", "started_by_us"} <= missing
    assert reason.startswith(f"wrong process: PID {other.pid} was given, the gateway is PID {pid}")


def test_a_pid_that_was_given_to_another_process_is_told_by_its_start(gateways: Gateways) -> None:
    pid = gateways.supervise()
    gateways.runs(pid)
    pid_file = Path(gateways.layout.pid_file)
    ticks = int(pid_file.read_text().split()[1])
    subject = Subject(gateways.layout, gateways.sha256, None, process=Process(pid, ticks - 1))
    assert refused(subject)[0] == {"right_process"}
    pid_file.write_text(f"{pid} {ticks - 1}\n")
    missing, reason = refused(gateways.subject())
    assert missing == {"right_process", "started_by_us"}
    assert "now another process's" in reason


def test_another_program_under_the_gateways_pid_file_is_not_the_artifact(gateways: Gateways) -> None:
    cat = shutil.which("cat")
    assert cat is not None
    os.mkfifo(gateways.folder / "fifo")
    gateways.supervise(cat, str(gateways.folder / "fifo"))
    feeder = os.open(gateways.folder / "fifo", os.O_RDWR)  # cat's open returns, and cat waits for what never comes
    try:
        missing, reason = refused(gateways.subject())
    finally:
        os.close(feeder)
    assert missing == {"right_process", "executable"}
    assert "is not the artifact" in reason


def test_no_pid_file_no_process_and_a_failed_exec_are_told_apart_from_a_small_gateway(gateways: Gateways) -> None:
    missing, reason = refused(gateways.subject())
    assert "right_process" in missing
    assert reason.startswith("no gateway runs: ")
    missing, reason = refused(gateways.subject(pid=4194305))
    assert "right_process" in missing
    assert "there is no process 4194305" in reason


def test_a_program_that_could_not_be_executed_leaves_no_reading(gateways: Gateways) -> None:
    gateways.binary.chmod(0o644)  # as on a mount without exec: exit status 126
    with pytest.raises(PermissionError):
        subprocess.run([gateways.binary], check=False)
    gateways.supervise("sh", "-c", 'exec "$0" 1000', str(gateways.binary))
    time.sleep(0.2)
    missing, reason = refused(gateways.subject())
    assert {"right_process", "same_process", "alive"} <= missing
    assert "does not run" in reason


def test_a_zombie_has_ended_however_its_pid_looks(gateways: Gateways) -> None:
    child = gateways.spawn(str(gateways.binary), "0")
    gateways.wait_for(lambda: " Z " in Path(f"/proc/{child.pid}/stat").read_text())
    subject = Subject(gateways.layout, gateways.sha256, None, pid=child.pid, ours=False)
    missing, _ = refused(subject)
    assert {"alive", "executable", "settled"} <= missing


def test_a_stopped_gateway_is_not_at_work(gateways: Gateways) -> None:
    pid = gateways.supervise()
    gateways.runs(pid)
    os.kill(pid, signal.SIGSTOP)
    assert refused(gateways.subject()) == ({"alive"}, "the process is stopped by a signal")


def test_a_file_replaced_under_the_running_gateway_proves_nothing(gateways: Gateways) -> None:
    subject = gateways.subject()
    gateways.runs(gateways.supervise())
    gateways.binary.rename(gateways.binary.with_suffix(".old"))
    gateways.binary.with_suffix(".old").unlink()
    missing, reason = refused(subject)
    assert missing == {"executable"}
    assert reason == "the file that it executes has been deleted or replaced"


def test_a_gateway_without_its_supervisor_was_not_started_by_us(gateways: Gateways) -> None:
    pid = gateways.supervise()
    gateways.runs(pid)
    os.kill(gateways.started[0].pid, signal.SIGKILL)
    gateways.started[0].wait(10)
    missing, reason = refused(gateways.subject())
    assert missing == {"started_by_us"}
    assert reason == "its supervisor does not run"
    reading, verdict = read(Subject(gateways.layout, gateways.sha256, gateways.subject().limits, ours=False))
    assert verdict.outcome is Outcome.PASS  # nobody claims it: shown, and not held against it
    assert not next(proof for proof in reading.evidence if proof.name == "started_by_us").ok


def test_a_gateway_killed_while_it_is_measured_leaves_no_reading(gateways: Gateways) -> None:
    pid = gateways.supervise()
    gateways.runs(pid)
    killer = threading.Timer(_LOOKED_AT_S, os.kill, (pid, signal.SIGKILL))
    killer.start()
    try:
        missing, _ = refused(gateways.subject(), _LONG)
    finally:
        killer.join()
    assert {"same_process", "settled"} <= missing


def test_a_gateway_started_again_while_it_is_measured_leaves_no_reading(gateways: Gateways) -> None:
    pid = gateways.supervise()
    gateways.runs(pid)
    restart = threading.Timer(_LOOKED_AT_S, gateways.supervise)  # what the pid file names changes in the middle
    restart.start()
    try:
        missing, reason = refused(gateways.subject(), _LONG)
    finally:
        restart.join()
    assert {"same_process", "started_by_us"} <= missing
    assert "started again" in reason


# --- trap 6 and 7: the limits that were asked for, the binary that was built


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "GOMEMLIMIT is not set in its environment"),
        ({"GOMEMLIMIT": "5MiB", "GOGC": "20"}, "GOMAXPROCS is not set in its environment"),
        ({"GOMEMLIMIT": "50MiB", "GOGC": "20", "GOMAXPROCS": "1"}, "GOMEMLIMIT is '50MiB' instead of '5MiB'"),
        ({"GOMEMLIMIT": "5MiB", "GOGC": "off", "GOMAXPROCS": "1"}, "GOGC is 'off' instead of '20'"),
    ],
)
def test_limits_that_did_not_reach_the_process_are_a_missing_proof(
    gateways: Gateways, limits: dict[str, str], said: str
) -> None:
    gateways.runs(gateways.supervise(limits=limits))
    reading, verdict = read(gateways.subject())
    assert failed(reading) == {"limits"}
    assert (verdict.outcome, verdict.reason) == (Outcome.NOT_MEASURED, said)


def test_the_same_limit_in_other_words_is_the_same_limit(gateways: Gateways) -> None:
    gateways.runs(gateways.supervise(limits={"GOMEMLIMIT": "5242880", "GOGC": "20", "GOMAXPROCS": "1"}))
    assert read(gateways.subject())[1].outcome is Outcome.PASS


def test_a_binary_of_another_hash_is_not_the_one_that_was_built(gateways: Gateways) -> None:
    gateways.runs(gateways.supervise())
    subject = Subject(gateways.layout, "0" * 64, gateways.subject().limits)
    missing, reason = refused(subject)
    assert missing == {"right_process", "executable"}
    assert "is not the artifact" in reason


# --- trap 5: one figure, taken once


def test_a_process_that_is_still_growing_is_not_measured_and_then_is(gateways: Gateways) -> None:
    tail = shutil.which("tail")
    assert tail is not None
    shutil.copy(os.path.realpath(tail), gateways.binary)
    fifo = gateways.folder / "fifo"
    os.mkfifo(fifo)
    gateways.supervise(str(gateways.binary), "-c", "400M", str(fifo))  # tail keeps what it has read
    grows = threading.Event()
    grows.set()
    with fifo.open("wb", buffering=0) as feed:
        feed.write(b"x")

        def feeding() -> None:
            while grows.is_set():
                feed.write(b"x" * 60_000)
                time.sleep(0.002)

        feeder = threading.Thread(target=feeding)
        feeder.start()
        try:
            missing, reason = refused(gateways.subject(), Pace(steady=3, interval_s=0.1, settle_s=5, most=8))
        finally:
            grows.clear()
            feeder.join()
        assert missing == {"settled"}
        assert reason.startswith("VmRSS had not settled after ")
        reading, verdict = read(gateways.subject())
        assert verdict.outcome is Outcome.PASS
        assert judge(reading, Budget()).outcome is Outcome.FAIL
