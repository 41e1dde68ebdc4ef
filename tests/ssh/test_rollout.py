"""Rollouts over real hosts: what fails stays what it was, what was killed is gone on with, nobody is forgotten.

Each host is a prefix of the test's own, with a real gateway and a bot; all are behind one sshd on loopback addresses.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from program import Slimdeploy
from servers import make_key
from ssh_fleet import SshFleet, ssh_fleet

pytestmark = [pytest.mark.install_check, pytest.mark.usefixtures("gateway_is_built")]

MakeFleet = Callable[..., SshFleet]


@pytest.fixture
def fleet(slimdeploy: Slimdeploy, tmp_path: Path) -> Iterator[MakeFleet]:
    made = []

    def make(*names: str, absent: tuple[str, ...] = ()) -> SshFleet:
        context = ssh_fleet(slimdeploy, tmp_path, names, absent)
        made.append(context)
        return context.__enter__()

    yield make
    for context in made:
        context.__exit__(None, None, None)


def states(document: dict[str, object]) -> dict[str, str]:
    hosts = document["hosts"]
    assert isinstance(hosts, list)
    return {each["member"]: each["state"] for each in hosts}


@contextmanager
def mute_server(address: str, port: int) -> Iterator[list[socket.socket]]:
    """A host that takes connections and never says a word."""
    held: list[socket.socket] = []
    with socket.create_server((address, port)) as server:

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield held
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for each in held:
                each.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB: no gateway fits."""
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount the small file system that this test needs")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=False)
    if done.returncode != 0:
        pytest.skip("this machine may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_hosts_that_fail_each_in_their_own_way_leave_the_others_deployed_and_keep_what_they_ran(
    fleet: MakeFleet, small_disk: Path, tmp_path: Path
) -> None:
    it = fleet("well", "fine", "refuser", "dead", "mute", "stranger", "full", absent=("dead", "mute"))
    first = it("deploy", "--limit", "well,refuser", "--no-measure", "--json", timeout_s=280)
    assert first.code == 0, first.out + first.err
    before = it.current("refuser")
    pid = it.pid("refuser")

    wrong = tmp_path / "wrong"
    wrong.write_text((tmp_path / "tokens" / "refuser").read_text()[:-3] + "xyz")
    wrong.chmod(0o600)
    it.own["refuser"] = {"token_file": str(wrong)}  # its Bot API refuses that one
    it.own["stranger"] = {
        "host_key": " ".join(make_key(tmp_path / "other").with_suffix(".pub").read_text().split()[:2]),
    }
    it.own["full"] = {"prefix": str(small_disk / "picoclaw")}
    it.write()
    with mute_server(it.addresses["mute"], it.server.host.port):
        ended = it("deploy", "--max-fail", "100%", "--json", "--junit", str(tmp_path / "junit.xml"), timeout_s=280)
    assert ended.code == 4, ended.err
    assert states(ended.document) == {
        "well": "unchanged",
        "fine": "deployed",
        "refuser": "failed",
        "dead": "unreachable",
        "mute": "unreachable",
        "stranger": "failed",
        "full": "failed",
    }
    assert (it.current("refuser"), it.current("full")) == (before, "")
    assert Path(f"/proc/{it.pid('refuser')}/exe").resolve() == (it.prefix("refuser") / "current/picoclaw").resolve()
    assert it.pid("refuser") != pid, "the old release was started again, with the old config"
    status = it("status", "--live", "--limit", "well,fine,refuser", "--json")
    assert status.code == 0, "all three run, and answer"

    problems = {tuple(each["hosts"]): each for each in ended.document["problems"]}
    assert len(problems) == sum(len(names) for names in problems), "each failure is told once"
    assert all(each["cure"] for each in problems.values()), problems
    refused = problems["refuser",]["sentence"]
    assert f"release {before} is back and runs" in refused and "its log ends with: " in refused, refused
    assert "has changed" in problems["stranger",]["sentence"] or "pinned" in problems["stranger",]["sentence"]
    assert not any(token.partition(":")[2] in ended.out for token in it.tokens())
    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "3", "2")


def test_a_rollout_whose_controller_was_killed_is_finished_by_resume_and_no_host_is_done_twice(
    fleet: MakeFleet,
) -> None:
    it = fleet("a", "b", "c", "d", "e", "f")
    with it.run.start("fleet.deploy", "--at-once", "2", "--waves", "1", "--no-measure") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("2/6"):
                break
        time.sleep(0.8)  # the next ones are half way
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    with pytest.raises(AssertionError):
        assert all(it.current(name) for name in it.names)
    newest = it("rollouts", "--json").document["rollouts"][0]
    assert newest["phase"] == "running" and newest["counts"]["deployed"] >= 2

    ended = it("resume", "last", "--json", timeout_s=280)
    assert ended.code == 0, ended.out + ended.err
    assert ended.document["id"] == newest["id"] and ended.document["phase"] == "ended"
    assert set(states(ended.document).values()) <= {"deployed", "unchanged"} and len(ended.document["hosts"]) == 6
    releases = {it.current(name) for name in it.names}
    assert len(releases) == 1 and "" not in releases
    for name in it.names:
        assert not (it.prefix(name) / "run" / "guard").exists(), "a guard would put it back in two minutes"
    file = next(Path(it.run.folder).rglob("rollouts.sqlite3"))
    with sqlite3.connect(file) as database:
        rows = database.execute(
            "SELECT member, count(*) FROM result WHERE state IN ('deployed', 'unchanged') GROUP BY 1"
        )
        assert dict(rows.fetchall()) == dict.fromkeys(it.names, 1)
    database.close()
    again = it("resume", newest["id"][-4:], "--json")
    assert again.code == 0 and again.document["seconds"] < 20, "there is nothing left to do"


def test_of_two_rollouts_at_once_the_second_is_refused_host_by_host(fleet: MakeFleet) -> None:
    it = fleet("a", "b", "c")
    assert it("deploy", "--no-measure", timeout_s=280).code == 0
    with it.run.start("fleet.deploy", "--no-measure", "--gc-percent", "30", "--json") as first:
        until = time.monotonic() + 60
        locks = [it.prefix(name) / "run" / "lock" for name in it.names]
        while not all(lock.is_symlink() for lock in locks):
            assert time.monotonic() < until and first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)  # it holds all of them as long as we look
        try:
            second = it("deploy", "--no-measure", "--gc-percent", "40", "--max-fail", "3", "--json")
        finally:
            first.send_signal(signal.SIGCONT)
        out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert set(states(json.loads(out)).values()) == {"deployed"}
    assert second.code == 4 and set(states(second.document).values()) == {"failed"}, second.out
    (refused,) = second.document["problems"]
    assert "has been changing this board since" in refused["sentence"] and len(refused["hosts"]) == 3
    for name in it.names:
        assert b"GOGC=30" in Path(f"/proc/{it.pid(name)}/environ").read_bytes(), name


def test_ctrl_c_lets_what_is_under_way_end_and_resume_does_the_rest(fleet: MakeFleet) -> None:
    it = fleet("a", "b", "c", "d")
    with it.run.start("fleet.deploy", "--at-once", "1", "--no-measure") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("1/4"):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "hosts under way come to their end" in err, (process.returncode, out, err)
    assert "paused: it was interrupted" in out and "fleet.resume" in out
    done = {name for name in it.names if it.current(name)}
    assert 1 <= len(done) < 4
    assert it("resume", "last", timeout_s=200).code == 0
    assert all(it.current(name) for name in it.names)


def test_a_wave_over_the_gate_is_led_back_and_what_a_rollout_gave_can_be_taken_back(fleet: MakeFleet) -> None:
    it = fleet("canary", "b", "c")
    assert it("deploy", "--no-measure", timeout_s=280).code == 0
    old = it.current("b")
    flags = ("--version", "0.2.0", "--waves", "1", "--json")
    missed = it("deploy", *flags, "--gate", "max-rss<=1MiB", "--on-failure", "rollback", timeout_s=280)
    assert missed.code == 1 and missed.document["phase"] == "stopped", missed.err
    assert states(missed.document) == {"canary": "rolled back", "b": "waiting", "c": "waiting"}
    assert [each["gate"] for each in missed.document["missed"]] == ["max-rss<=1MiB"]
    assert {it.current(name) for name in it.names} == {old}

    well = it("deploy", *flags, "--gate", "max-rss<=5MiB", "--gate", "pass-share>=100%", timeout_s=280)
    assert well.code == 0, well.out
    assert set(states(well.document).values()) == {"deployed"}
    assert all(1000 < each["rss_kib"] < 5120 for each in well.document["hosts"])
    assert well.document["spread"]["count"] == 3
    shown = it("status", "--rollout", well.document["id"][-4:])
    assert shown.code == 0 and "VmRSS over the fleet" in shown.out and "3 deployed" in shown.out
    remembered = it("status", "--json")
    assert {each["version"] for each in remembered.document["hosts"]} == {"0.2.0"}
    back = it("rollback", "--rollout", well.document["id"], "--json", timeout_s=200)
    assert back.code == 0, back.err
    assert set(states(back.document).values()) == {"rolled back"} and {it.current(name) for name in it.names} == {old}
    nothing = it("rollback", "--rollout", well.document["id"])
    assert nothing.code == 2 and "gave no host a release" in nothing.err
