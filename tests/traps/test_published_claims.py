"""Three published figures of "the gateway", taken again as their authors took them: none of them is a measurement."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from readings import idle_of, recorded_answer

from deploy.emulator import loopback
from deploy.emulator.kept import KeptBoard
from deploy.memory.budget import judge
from deploy.model.verdict import Budget, Outcome

pytestmark = [pytest.mark.usefixtures("gateway_is_built"), pytest.mark.install_check]


@pytest.fixture
def local(slimdeploy) -> Iterator[object]:
    yield slimdeploy
    loopback.down("local")


@pytest.fixture
def gnu_time() -> str:
    found = shutil.which("time")
    if found is None:
        pytest.skip("GNU time is not installed (apt-get install time)")
    return found


def vm_rss_kib(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_one_megabyte_of_a_live_gateway_is_gnu_times(local, gnu_time: str) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    board = loopback.status("local")
    assert board is not None
    prefix = board.home / ".picoclaw"
    assert local("stop", "--board", "local").code == 0

    # As published: time -v BIN gateway & ; $! ; 50 calls of sendMessage with the bot's own token ; VmRSS of $!.
    command = [gnu_time, "-v", f"{prefix}/current/picoclaw", "gateway", "--config", f"{prefix}/config.json"]
    limits = {"GOMEMLIMIT": "5MiB", "GOGC": "20", "GOMAXPROCS": "1", "PATH": os.defpath}
    with subprocess.Popen(command, env=limits, stderr=subprocess.DEVNULL) as started:
        try:
            time.sleep(1.5)
            for number in range(50):
                send_message(board, f"Test message {number}")
            published_kib = vm_rss_kib(started.pid)
            said = local("memory", "--board", "local", "--pid", str(started.pid), "--json")
        finally:
            children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), 15)
            started.wait(15)
    assert published_kib < 2560, "the figure of the publication comes out again, near a megabyte and a half"
    assert children, "the gateway ran all the while, as another process"
    assert (said.code, said.document["verdict"], said.document["reading"]) == (3, "NOT MEASURED", None)
    assert "wrong process" in said.document["reason"] and "/time, which runs other programs" in said.document["reason"]
    counts = board.user_side().counts()
    assert (counts.injected, counts.delivered, counts.answered) == (0, 0, 0), "no user wrote, and no gateway received"


def send_message(board: KeptBoard, text: str) -> None:
    url = f"{board.base_url}/bot{board.token().reveal().decode()}/sendMessage"
    asked = urllib.request.Request(
        url, json.dumps({"chat_id": 12345, "text": text}).encode(), {"Content-Type": "application/json"}
    )
    trust = ssl.create_default_context(cadata=board.ca_file.read_text())
    with suppress(urllib.error.HTTPError), urllib.request.urlopen(asked, timeout=10, context=trust) as answer:
        answer.read()


@pytest.fixture(params=["without the x bit", "on a mount without exec"])
def failing_command(request: pytest.FixtureRequest, gnu_time: str, tmp_path: Path) -> list[str]:
    """GNU time around a status command of a program, PROGRAM in its own folder, that can't be executed."""
    folder = tmp_path / "place"
    folder.mkdir()
    if request.param == "without the x bit":
        return ["sh", "-c", 'cp "$1" "$2" && chmod 644 "$2" && exec "$0" -v "$2" status', gnu_time]
    mount = 'mount -t tmpfs -o noexec none "${2%/*}" && cp "$1" "$2" && chmod 755 "$2" && exec "$0" -v "$2" status'
    if subprocess.run(["unshare", "--mount", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this login may not make mount namespaces (run as root)")
    return ["unshare", "--mount", "sh", "-c", mount, gnu_time]


def test_a_maximum_resident_of_status_126_is_of_a_program_that_never_ran(
    local, failing_command: list[str], tmp_path: Path
) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    board = loopback.status("local")
    assert board is not None
    program = tmp_path / "place" / "picoclaw-status"
    command = [*failing_command, str(board.home / ".picoclaw" / "current" / "picoclaw"), str(program)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as ended:
        assert ended.stderr is not None
        printed = ended.stderr.read()
    assert ended.returncode == 126 and "Permission denied" in printed, printed
    published = re.search(r"Maximum resident set size \(kbytes\): (\d+)", printed)
    assert published is not None and 0 < int(published[1]) < 4096, "time prints a figure all the same"
    for flags, why in (
        (("--exe", str(program)), "finds no process"),
        (("--pid", str(ended.pid)), f"does not run: there is no process {ended.pid}"),
    ):
        said = local("memory", "--board", "local", *flags, "--json")
        assert (said.code, said.document["verdict"], said.document["reading"]) == (3, "NOT MEASURED", None)
        assert why in said.document["reason"]


def test_exactly_3072_in_every_phase_is_a_kernel_that_rounds() -> None:
    flat = recorded_answer()
    for section in ("status", "shell"):
        for key, size in (("VmRSS", 3072), ("VmHWM", 3072), ("RssAnon", 1024), ("RssFile", 2048)):
            flat = flat.edited(section, rf"^{key}:.*$", f"{key}:\t {size} kB")
    flat = flat.edited("pages", r"^Rss:.*$", "Rss: 3072 kB")
    verdict = judge(idle_of(flat), Budget())
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert "it rounds instead of counting pages" in verdict.reason
