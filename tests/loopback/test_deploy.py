"""The demo's story on the loopback board: deployed, measured, talked to, broken, taken down without a trace."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.emulator import loopback
from deploy.emulator.processes import marked

pytestmark = pytest.mark.usefixtures("gateway_is_built")

TOKEN = re.compile(r"\d{8,}:[A-Za-z0-9_-]{35}")


@pytest.fixture
def local(slimdeploy) -> Iterator[object]:
    yield slimdeploy
    loopback.down("local")


def gateway_pid() -> int:
    board = loopback.status("local")
    assert board is not None
    return int((board.home / ".picoclaw" / "run" / "gateway.pid").read_text().split()[0])


def test_the_whole_story_of_the_demo(local, private_home: Path) -> None:
    deployed = local("deploy", "--board", "local", "--json")
    assert deployed.code == 0, deployed.err
    document = deployed.document
    assert document["verdict"] == "PASS" and document["kind"] == "live"
    live = document["live"]
    assert (live["sent"], live["received"], live["answered"]) == (50, 50, 50)
    assert live["tls"].startswith("TLSv1.3")
    assert all(proof["ok"] for proof in document["evidence"] if proof["required"])
    reading = document["reading"]
    assert 1000 < reading["rss_kib"] <= 5120 and len(reading["samples"]) >= 10
    assert abs(reading["rss_anon_kib"] + reading["rss_file_kib"] - reading["rss_kib"]) <= 64
    assert not TOKEN.search(deployed.out + deployed.err)

    again = local("deploy", "--board", "local", "--json", "--no-measure").document
    assert again["changed"] is False and again["round_trips_before_measure"] == 2

    idle = local("memory", "--board", "local", "--json")
    assert (idle.code, idle.document["kind"]) == (0, "idle")
    explained = local("memory", "--board", "local", "--explain")
    assert "it executes the artifact" in explained.out
    lively = local("memory.live", "--board", "local", "--messages", "7", "--kinds", "all", "--json")
    assert (lively.code, lively.document["live"]["answered"]) == (0, 7)

    said = local("chat", "--board", "local", "--text", "does anybody hear me?")
    assert (said.code, said.out.strip()) == (0, "does anybody hear me?")

    too_small = local("memory", "--board", "local", "--budget", "1MiB", "--json")
    assert (too_small.code, too_small.document["verdict"]) == (1, "FAIL")

    board = loopback.status("local")
    assert board is not None
    mark = (board.folder / "mark").read_text()
    assert list(marked(mark))
    down = local("emulate.down", "--board", "local")
    assert down.code == 0 and "no process and no file" in down.out
    assert not list(marked(mark))
    assert not [path for path in (private_home / "slimdeploy" / "state").rglob("*") if path.is_file()]


def test_a_killed_gateway_and_a_wrapper_are_not_measured(local) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    board = loopback.status("local")
    assert board is not None
    prefix = board.home / ".picoclaw"
    supervisor = int((prefix / "run" / "supervisor.pid").read_text().split()[0])
    gateway = gateway_pid()
    for pid in (supervisor, gateway):
        os.kill(pid, signal.SIGKILL)
    killed = local("memory", "--board", "local", "--json")
    assert (killed.code, killed.document["verdict"]) == (3, "NOT MEASURED")
    assert not re.search(r"\d KiB", killed.document["reason"])

    command = f"{prefix}/current/picoclaw gateway --config {prefix}/config.json & wait"
    limits = {"GOMEMLIMIT": "5MiB", "GOGC": "20", "GOMAXPROCS": "1", "PATH": os.defpath}
    with subprocess.Popen(["sh", "-c", command], env=limits, start_new_session=True) as wrapper:
        try:
            wrapped = local("memory", "--board", "local", "--pid", str(wrapper.pid))
        finally:
            os.killpg(wrapper.pid, signal.SIGKILL)
    assert wrapped.code == 3 and "wrong process" in wrapped.out


def test_messages_that_get_no_answer_are_not_measured(local) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    pid = gateway_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        with local.start("memory.live", "--board", "local", "--messages", "3", "--deadline", "2", "--json") as process:
            out, err = process.communicate(timeout=100)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert process.returncode == 3, err
    assert json.loads(out)["verdict"] == "NOT MEASURED"


def test_a_board_without_sftp_is_deployed_to_all_the_same(local) -> None:
    assert local("emulate.up", "--board", "local", "--no-sftp").code == 0
    assert local("deploy", "--board", "local", "--no-measure").code == 0


@pytest.mark.parametrize(
    ("after_s", "number"),
    [(0.3, signal.SIGINT), (0.7, signal.SIGINT), (1.2, signal.SIGINT), (2.0, signal.SIGINT), (2.0, signal.SIGHUP)],
)
def test_ctrl_c_or_a_closed_terminal_at_any_moment_leaves_the_running_release_running(
    local, after_s: float, number: signal.Signals
) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    with local.start("deploy", "--board", "local", "--no-measure", "--memory-limit", "7MiB") as process:
        time.sleep(after_s)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    # On a busy machine the program may not even have begun to listen to signals, nor to do anything.
    assert process.returncode in (0, 130, -number), err
    assert "Traceback" not in err
    status = local("status", "--board", "local", "--json")
    assert status.code == 0, status.err
    wanted = "GOMEMLIMIT=7MiB" if process.returncode == 0 else "GOMEMLIMIT=5MiB"
    assert wanted in status.document["limits"]
    assert local("deploy", "--board", "local", "--no-measure").code == 0


def test_a_reader_that_has_seen_enough_does_not_end_a_deployment(local) -> None:
    with local.start("deploy", "--board", "local", "--no-measure") as deploying:
        assert deploying.stdout is not None
        while not deploying.stdout.readline().startswith("+ Push"):
            assert deploying.poll() is None
        deploying.stdout.close()
        assert deploying.wait(120) == 0
    status = local("status", "--board", "local", "--json").document
    assert status["running"] is True
    again = local("deploy", "--board", "local", "--no-measure", "--json")
    assert (again.code, again.document["changed"]) == (0, False), "nobody holds the board"


def test_a_prefix_that_was_named_is_the_only_place_that_is_looked_at(local, tmp_path: Path) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    pid, elsewhere = gateway_pid(), str(tmp_path / "else where")
    for what in ("stop", "restart", "rollback", "uninstall", "status", "releases", "logs"):
        ended = local(what, "--board", "local", "--prefix", elsewhere)
        assert ended.code == 2, what
        assert f"no gateway is installed under {elsewhere}" in " ".join(ended.err.split()), ended.err
    assert gateway_pid() == pid and Path(f"/proc/{pid}").exists()


def test_ctrl_c_at_the_very_end_loses_no_record_of_what_runs(local) -> None:
    with local.start("deploy", "--board", "local", "--no-measure") as deploying:
        assert deploying.stdout is not None
        while not deploying.stdout.readline().startswith("+ Verify"):
            assert deploying.poll() is None
        deploying.send_signal(signal.SIGINT)
        _, said = deploying.communicate(timeout=120)
        assert deploying.returncode in (0, 130), said  # it may have ended before
    reading = local("memory", "--board", "local", "--json")
    assert reading.code == 0, reading.out


def test_a_lock_is_taken_away_also_where_a_first_deployment_got_no_further(local) -> None:
    lock = loopback.up("local").home / ".picoclaw" / "run" / "lock"
    lock.parent.mkdir(parents=True)
    lock.symlink_to("somebody's")
    ended = local("unlock", "--board", "local")
    assert ended.code == 0, ended.err
    assert not lock.is_symlink()
