"""Real processes that tests take for a gateway, under a real little supervisor, and the proofs that they give."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.board_shell.observation import Observation
from deploy.board_shell.samples import Pace
from deploy.memory.evidence import gather
from deploy.memory.settling import settled
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.reading import Evidence

QUICK = Pace(steady=3, interval_s=0.05, settle_s=10, most=30)


def evidence_of(seen: Observation, subject: Subject) -> dict[str, Evidence]:
    """The proofs by name, for one sample set."""
    return {proof.name: proof for proof in gather([seen], settled(seen.looks, Pace(steady=3)), subject)}


_SUPERVISOR = """\
note() {
    set -- "$1" "$2" "$(cat /proc/$1/stat)"; set -- "$1" "$2" ${3##*) }
    echo "$1 ${22}" >"$2.new"; mv "$2.new" "$2"
}
note $$ "$RUN/supervisor.pid"
"$@" &
note $! "$RUN/gateway.pid"
wait
exec sleep 1000
"""


@dataclass
class Gateways:
    """Real processes that tests take for a gateway: copies of sleep, whose hash is known, under a supervisor in sh."""

    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(str(self.folder))

    @property
    def binary(self) -> Path:
        return self.folder / "releases" / "0123456789abcdef" / "picoclaw"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.binary.read_bytes()).hexdigest()

    def subject(self, pid: int | None = None, limits: Limits | None = None) -> Subject:
        return Subject(self.layout, self.sha256, limits or Limits(), pid=pid)

    def supervise(self, *argv: str, limits: dict[str, str] | None = None) -> int:
        """Start `argv` (the copy of sleep where empty) under a supervisor; its PID once the pid file names it."""
        environment = {"PATH": os.environ["PATH"], "RUN": f"{self.folder}/run"}
        environment |= Limits().environment() if limits is None else limits
        (self.folder / "run").mkdir(exist_ok=True)
        (self.folder / "run" / "gateway.pid").unlink(missing_ok=True)
        command = argv or (str(self.binary), "1000")
        self.spawn("sh", "-c", _SUPERVISOR, "supervisor", *command, environment=environment)
        pid = int(self.wait_for(lambda: (self.folder / "run" / "gateway.pid").read_text().split()[0]))
        if command[0] == str(self.binary):
            self.runs(pid)  # the pid file is written as soon as the supervisor has forked
        return pid

    def spawn(self, *argv: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, which the fixture ends."""
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def runs(self, pid: int) -> None:
        """Wait until that process executes the copy of sleep, with the words and the environment that it was given."""
        self.wait_for(lambda: self._executes(pid))

    def child_of(self, pid: int) -> int:
        """The PID of its child that executes the copy of sleep, once there is one."""

        def look() -> int:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return next((int(each) for each in children if self._executes(int(each))), 0)

        return int(self.wait_for(look))

    def _executes(self, pid: int) -> bool:
        """Whether its exec has ended: /proc/PID/exe is the new program a moment before /proc/PID/environ can be read.

        Until then field 27 of /proc/PID/stat (proc(5)), the end of its code, is 0. Looked at after the program: before
        it, the old program's could be seen.
        """
        with suppress(OSError):
            runs = Path(f"/proc/{pid}/exe").readlink() == self.binary
            return runs and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[24] != "0"
        return False

    @staticmethod
    def wait_for(look: Callable[[], object], deadline_s: float = 10.0) -> str:
        until = time.monotonic() + deadline_s
        while time.monotonic() < until:
            try:
                if found := look():
                    return str(found)
            except (OSError, IndexError):
                pass
            time.sleep(0.01)
        raise AssertionError("it did not happen in time")

    def end(self) -> None:
        """End every process of the sessions that were started (timeout makes a process group of its own)."""
        for process in self.started:
            for pid in _session(process.pid):
                for number in (signal.SIGCONT, signal.SIGKILL):
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
            process.wait(10)


def _session(leader: int) -> list[int]:
    """The processes of that session: field 6 of /proc/PID/stat (proc(5))."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdecimal() and (folder / "stat").read_text().rpartition(")")[2].split()[3] == str(leader):
                found.append(int(folder.name))
    return found


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    """A prefix with one release in it, and processes that are all gone afterwards."""
    made = Gateways(tmp_path / "prefix")
    made.binary.parent.mkdir(parents=True)
    sleep = shutil.which("sleep")
    assert sleep is not None
    shutil.copy(os.path.realpath(sleep), made.binary)
    if subprocess.run([made.binary, "0"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("sleep is part of a multi-call binary here; install coreutils as single programs")
    yield made
    made.end()
