"""Traps of looking for a process: the login itself, a path that lies, a service's pid file, several instances."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from gateways import QUICK, Gateways
from readings import names_no_figure

from deploy.board_shell.finding import Finding
from deploy.board_shell.quoting import quote
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.sampling import observe
from deploy.memory.subject import Subject
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Outcome
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Progress, Script

LARGE = Budget(rss_kib=1 << 30)


def sought(gateways: Gateways, way: str, what: str) -> Subject:
    return Subject(gateways.layout, None, None, ours=False, finding=Finding(way, what))


def detail(reading: Reading, name: str) -> str:
    return next(proof.detail for proof in reading.evidence if proof.name == name)


def test_the_login_that_asks_and_what_it_runs_under_are_never_found(gateways: Gateways) -> None:
    own = Path("/proc/self/comm").read_text().strip()
    for finding in (Finding("name", own), Finding("exe", os.path.realpath("/proc/self/exe")), Finding("name", "sh")):
        seen = observe(LocalTransport(), Subject(gateways.layout, None, None, ours=False, finding=finding), QUICK)
        assert os.getpid() not in seen.found and os.getppid() not in seen.found
    # a name that nobody but the login has: the shell that asks is "sh", and no other shell of that copy runs
    shell = gateways.folder / "only-the-login"
    shutil.copy(os.path.realpath("/bin/sh"), shell)
    if subprocess.run([shell, "-c", "true"], check=False).returncode:
        pytest.skip("sh is part of a multi-call binary here (apt-get install dash)")

    class OwnShell(LocalTransport):
        def run(self, script: Script, progress: Progress | None = None) -> Completed:
            return super().run(replace(script, text=f"{quote(str(shell))} -c {quote(script.text)}"), progress)

    reading = idle_reading(OwnShell(), sought(gateways, "exe", str(shell)), pace=QUICK)
    verdict = judge(reading, LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert "finds no process that this login may see, beside the login itself" in verdict.reason


@pytest.mark.parametrize("break_of_line", [False, True])
def test_a_path_that_reads_like_an_answer_does_not_lead_to_another_process(
    gateways: Gateways, break_of_line: bool
) -> None:
    innocent = gateways.spawn(str(gateways.binary), "1000")
    gateways.runs(innocent.pid)
    name = f"sought-{innocent.pid}"
    before = "a\nlrwxrwxrwx 1 root root 0 Jan 1 00:00 " if break_of_line else "a "
    liar = gateways.folder / f"{before}" / "proc" / str(innocent.pid) / f"exe -> {name}"
    liar.parent.mkdir(parents=True)
    shutil.copy(gateways.binary, liar)
    lying = gateways.spawn(str(liar), "1000")
    gateways.wait_for(lambda: Path(f"/proc/{lying.pid}/exe").readlink() == liar)
    reading = idle_reading(LocalTransport(), sought(gateways, "exe", name), pace=QUICK)
    verdict = judge(reading, LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED and names_no_figure(verdict), verdict
    said = "which is not what" if break_of_line else "finds no process"
    assert said in verdict.reason


class HostWithServices(LocalTransport):
    """A host whose /run is a folder of the test's: a mount namespace of its own (root)."""

    def __init__(self, run: Path, tools: Path) -> None:
        super().__init__()
        self._enter = f"PATH={quote(str(tools))}:$PATH exec unshare --mount sh -c "
        self._bind = f"mount --bind {quote(str(run))} /run || exit 99\n"

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        return super().run(replace(script, text=self._enter + quote(self._bind + script.text)), progress)


@pytest.fixture
def services(tmp_path: Path) -> HostWithServices:
    if subprocess.run(["unshare", "--mount", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this login may not make mount namespaces (run as root)")
    for name in ("run", "tools"):
        (tmp_path / name).mkdir()
    return HostWithServices(tmp_path / "run", tmp_path / "tools")


def test_a_service_is_what_its_manager_says_it_is(
    gateways: Gateways, services: HostWithServices, tmp_path: Path
) -> None:
    one, other = (gateways.spawn(str(gateways.binary), "1000") for _ in range(2))
    for each in (one, other):
        gateways.runs(each.pid)
    (tmp_path / "run" / "some-gateway.pid").write_text(f"{one.pid}\n")
    reading = idle_reading(services, sought(gateways, "unit", "some-gateway"), pace=QUICK)
    assert judge(reading, LARGE).outcome is Outcome.PASS
    assert reading.samples[0].process.pid == one.pid

    # systemd is asked where it runs, and a pid file that somebody left behind is not believed then
    (tmp_path / "run" / "systemd" / "system").mkdir(parents=True)
    systemctl = tmp_path / "tools" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$*" = "show -p MainPID -- some-gateway" ] && echo MainPID={other.pid}\n')
    systemctl.chmod(0o755)
    reading = idle_reading(services, sought(gateways, "unit", "some-gateway"), pace=QUICK)
    assert judge(reading, LARGE).outcome is Outcome.PASS
    assert reading.samples[0].process.pid == other.pid

    systemctl.write_text("#!/bin/sh\necho MainPID=0\n")  # as of a unit that does not run, or that nobody wrote
    verdict = judge(idle_reading(services, sought(gateways, "unit", "some-gateway"), pace=QUICK), LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED and "finds no process" in verdict.reason


def test_a_pid_file_that_names_no_process_any_more_finds_nothing(
    gateways: Gateways, services: HostWithServices, tmp_path: Path
) -> None:
    ended = gateways.spawn(str(gateways.binary), "0")
    ended.wait(10)
    (tmp_path / "run" / "left-behind.pid").write_text(f"{ended.pid}\n")
    verdict = judge(idle_reading(services, sought(gateways, "unit", "left-behind"), pace=QUICK), LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED and "finds no process" in verdict.reason


def test_a_second_instance_of_the_same_program_is_named_beside_the_one_that_is_measured(gateways: Gateways) -> None:
    pid = gateways.supervise()
    gateways.runs(pid)
    alone = idle_reading(LocalTransport(), gateways.subject(), pace=QUICK)
    assert detail(alone, "instances") == "no other process that this login sees executes the same file"
    more = [gateways.spawn(str(gateways.binary), "1000").pid for _ in range(2)]
    for each in more:
        gateways.runs(each)
    reading = idle_reading(LocalTransport(), gateways.subject(), pace=QUICK)
    assert judge(reading, LARGE).outcome is Outcome.PASS
    assert {sample.process.pid for sample in reading.samples} == {pid}
    said = detail(reading, "instances")
    assert said.startswith("2 others execute the same file: PIDs ") and all(str(each) in said for each in more)
