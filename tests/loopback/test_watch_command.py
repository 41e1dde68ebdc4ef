"""memory.watch as a command: lines, JSON, a record, and what it says of a gateway that is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.emulator import loopback

pytestmark = pytest.mark.usefixtures("gateway_is_built")


@pytest.fixture
def local(slimdeploy) -> Iterator[object]:
    yield slimdeploy
    loopback.down("local")


def test_a_gateway_is_watched_recorded_and_left_as_it_was(local, tmp_path: Path) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    record = tmp_path / "watched.jsonl"
    flags = ("--board", "local", "--interval", "300ms", "--for", "2s", "--record", str(record))
    ended = local("memory.watch", *flags, "--json")
    assert ended.code == 0, ended.err
    events = [json.loads(line) for line in ended.out.splitlines()]
    seen = [event for event in events if event["event"] == "seen"]
    summary = events[-1]
    assert 3 <= len(seen) == summary["samples"] and summary["restarts"] == 0
    assert all(1000 < event["vm_rss_kib"] <= event["vm_hwm_kib"] for event in seen)
    assert [event for event in events if event["event"] == "counted"], "its counters are asked for"
    assert [json.loads(line) for line in record.read_text().splitlines()] == events[:-1]
    assert record.stat().st_mode & 0o777 == 0o600

    plain = local("memory.watch", *flags, "--no-counters")
    assert plain.code == 0 and "VmRSS" in plain.out and "messages in" not in plain.out
    assert "Watched, and not judged" in plain.out


def test_any_process_is_watched_until_it_ends(local) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(8)"]) as stranger:
        ended = local("memory.watch", "--board", "local", "--pid", str(stranger.pid), "--interval", "200ms", "--json")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 0 and {"seen", "gone", "summary"} <= {event["event"] for event in events}
    assert {event["pid"] for event in events if event["event"] == "seen"} == {stranger.pid}
    assert not Path(f"/proc/{stranger.pid}").exists()


def test_no_sample_is_not_measured_and_a_senseless_flag_is_refused(local) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    nobody = local("memory.watch", "--board", "local", "--pid", "4194303", "--for", "1s")
    assert nobody.code == 3 and "there is no process 4194303" in nobody.err
    assert local("memory.watch", "--board", "local", "--interval", "1h").code == 2
    assert local("stop", "--board", "local").code == 0
    gone = local("memory.watch", "--board", "local", "--interval", "300ms", "--for", "1s")
    assert gone.code == 3 and "was not seen" in gone.err
