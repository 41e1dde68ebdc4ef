"""Traps of identity and time: a PID given to another process, a limit set twice, a clock that is set meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gateways import QUICK, Gateways
from readings import failed, names_no_figure

from deploy.board_shell.quoting import quote
from deploy.board_shell.samples import Pace
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.subject import Subject
from deploy.model.limits import Limits
from deploy.model.verdict import Budget, Outcome
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Progress, Script

LARGE = Budget(rss_kib=1 << 30)

# --- a PID that is given to another process

_PID = 3000

_REUSING = f"""
import os, subprocess, sys, threading, time
program, folder = sys.argv[1:]

def start():
    "The program as PID {_PID}: the kernel gives out the number after ns_last_pid (proc_sys_kernel(5))."
    for _ in range(200):
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write("{_PID - 1}")
        pid = os.fork()
        if pid == 0:
            if os.getpid() != {_PID}:
                os._exit(0)
            os.execv(program, [program, "1000"])
        if pid == {_PID}:
            return
        os.waitpid(pid, 0)
    sys.exit("the PID was not to be had")

def reuse():
    time.sleep(0.6)
    os.kill({_PID}, 9)
    os.waitpid({_PID}, 0)
    start()
    open(folder + "/reused", "w").close()

start()
time.sleep(0.05)
threading.Thread(target=reuse, daemon=True).start()
sys.exit(subprocess.run(["sh", folder + "/script"]).returncode)
"""


class ReusesPids(LocalTransport):
    """A board of its own (a PID namespace) on which the process ends under the script, and another gets its PID."""

    def __init__(self, program: Path, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        (folder / "reusing.py").write_text(_REUSING)
        inside = (sys.executable, str(folder / "reusing.py"), str(program), str(folder))
        enter = "unshare --pid --fork --kill-child --mount-proc"
        self._enter = f"exec {enter} {' '.join(quote(word) for word in inside)}"

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        (self._folder / "script").write_text(script.text)
        return super().run(replace(script, text=self._enter), progress)


def test_a_pid_that_another_process_of_the_same_binary_was_given_meanwhile_is_not_the_same_process(
    gateways: Gateways, tmp_path: Path
) -> None:
    if subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"], check=False, stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("this login may not make PID namespaces (run as root)")
    subject = Subject(gateways.layout, gateways.sha256, None, pid=_PID, ours=False)
    pace = Pace(steady=40, interval_s=0.05, settle_s=8, most=40)
    reading = idle_reading(ReusesPids(gateways.binary, tmp_path), subject, pace=pace)
    assert (tmp_path / "reused").exists(), "the same PID, the same binary, another process"
    assert "same_process" in failed(reading) and "executable" not in failed(reading)
    verdict = judge(reading, LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED and names_no_figure(verdict)
    assert "the process was replaced by another one while it was measured" in verdict.reason


# --- a limit that is set twice

_EXEC_WITH = """
import ctypes, sys
program, *settings = sys.argv[1:]
words = [each.encode() for each in settings]
argv = (ctypes.c_char_p * 3)(program.encode(), b"1000", None)
ctypes.CDLL(None).execve(program.encode(), argv, (ctypes.c_char_p * (len(words) + 1))(*words, None))
"""


@pytest.mark.parametrize("order", [("GOMEMLIMIT=5MiB", "GOMEMLIMIT=50MiB"), ("GOMEMLIMIT=50MiB", "GOMEMLIMIT=5MiB")])
def test_a_limit_that_is_set_twice_is_no_limit_that_anybody_knows(gateways: Gateways, order: tuple[str, str]) -> None:
    settings = (*order, "GOGC=20", "GOMAXPROCS=1")
    started = gateways.spawn(sys.executable, "-c", _EXEC_WITH, str(gateways.binary), *settings)
    gateways.runs(started.pid)
    assert Path(f"/proc/{started.pid}/environ").read_bytes().count(b"GOMEMLIMIT=") == 2
    subject = Subject(gateways.layout, gateways.sha256, Limits(), pid=started.pid, ours=False)
    reading = idle_reading(LocalTransport(), subject, pace=QUICK)
    assert failed(reading) == {"limits"}
    verdict = judge(reading, LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert verdict.reason.startswith("GOMEMLIMIT is '") and verdict.reason.endswith(" instead of '5MiB'")


# --- a clock that is set while samples are taken


class ClockJumps(LocalTransport):
    """A host whose clock is set on or back at the script's second question for it."""

    def __init__(self, folder: Path, jump_s: int) -> None:
        super().__init__()
        folder.mkdir()
        date = folder / "date"
        date.write_text(
            f'#!/bin/sh\nreal=$(PATH={quote(os.environ["PATH"])} date "$@")\n'
            f'if [ -e "$0.asked" ]; then echo $((real + {jump_s})); else : >"$0.asked"; echo "$real"; fi\n'
        )
        date.chmod(0o755)
        self._path = f"PATH={quote(str(folder))}:$PATH; export PATH\n"

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        return super().run(replace(script, text=self._path + script.text), progress)


@pytest.mark.parametrize(("jump_s", "said"), [(3600, "+3600 s"), (-86400, "-86400 s"), (0, "none")])
def test_a_clock_that_is_set_meanwhile_is_named_and_moves_no_sample(
    gateways: Gateways, tmp_path: Path, jump_s: int, said: str
) -> None:
    gateways.runs(gateways.supervise())
    reading = idle_reading(ClockJumps(tmp_path / "tools", jump_s), gateways.subject(), pace=QUICK)
    assert judge(reading, LARGE).outcome is Outcome.PASS
    at_s = [sample.at_s for sample in reading.samples]
    assert at_s == sorted(at_s) and 0 < at_s[-1] - at_s[0] < 60
    named = reading.circumstances["clock jump"]
    assert named.startswith(said) or (abs(int(named.split()[0]) - jump_s) <= 1 and "uptime" in named), named
