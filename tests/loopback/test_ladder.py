"""memory.ladder on the loopback board: real instances under real limits, and nothing of them left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.emulator import loopback
from deploy.model.layout import Layout
from deploy.service.texts import cgroup_name

pytestmark = pytest.mark.usefixtures("gateway_is_built")


@pytest.fixture
def local(slimdeploy) -> Iterator[object]:
    yield slimdeploy
    loopback.down("local")


def test_rungs_are_climbed_beside_the_gateway_in_service_and_nothing_is_left_of_them(local) -> None:
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    board = loopback.status("local")
    assert board is not None
    run = board.home / ".picoclaw" / "run"
    before = (run / "gateway.pid").read_text()
    few = ("--messages", "12", "--memory-limits", "5MiB,1MiB", "--gc-percents", "50", "--no-hard")
    ended = local("memory.ladder", "--board", "local", *few, "--json")
    assert ended.code == 0, ended.err
    rungs = ended.document["rungs"]
    assert [(each["ladder"], each["limits"]["GOMEMLIMIT"], each["limits"]["GOGC"]) for each in rungs] == [
        ("GOMEMLIMIT", "5MiB", "20"),
        ("GOMEMLIMIT", "1MiB", "20"),
        ("GOGC", "5MiB", "50"),
    ]
    for each in rungs:
        assert each["holds"] and (each["sent"], each["answered"]) == (12, 12), each
        assert 0 < each["median_s"] <= each["p95_s"] < 5
        assert each["cpu_s"] >= 0 and each["collections"] >= 0
    measured = [each for each in rungs if each["rss_kib"] is not None]
    assert measured and all(1000 < each["rss_kib"] <= each["hwm_kib"] for each in measured)
    assert "--memory-limit" in ended.document["recommended"]
    assert (run / "gateway.pid").read_text() == before, "the gateway in service was not touched"
    assert not (run / "live").exists()


def test_where_no_release_runs_so_low_the_rung_says_why(local) -> None:
    if os.geteuid() or not Path("/sys/fs/cgroup").exists():
        pytest.skip("this login may make no memory cgroup (run as root)")
    assert local("deploy", "--board", "local", "--no-measure").code == 0
    groups = set(Path("/sys/fs/cgroup").glob("**/slimdeploy.live.*"))
    few = ("--messages", "5", "--memory-limits", "5MiB", "--gc-percents", "20")
    ended = local("memory.ladder", "--board", "local", *few, "--json", timeout_s=400)
    assert ended.code == 0, ended.err
    hard = [each for each in ended.document["rungs"] if each["ladder"] == "hard"]
    if ended.document["no_hard_limits"]:
        assert not hard and "memory cgroup" in ended.document["no_hard_limits"]
        return
    held = [each["hard_limit_bytes"] for each in hard if each["holds"]]
    failed = [each for each in hard if not each["holds"]]
    assert held and failed and all(each["why"] for each in failed)
    assert max(each["hard_limit_bytes"] for each in failed) < min(held)
    assert "--hard-limit" in ended.document["recommended"]
    board = loopback.status("local")
    assert board is not None
    own = cgroup_name(Layout(f"{board.home}/.picoclaw/run/live"))
    assert own.startswith("slimdeploy.live.")
    left = set(Path("/sys/fs/cgroup").glob("**/slimdeploy.live.*")) - groups
    assert own not in {path.name for path in left}, "the memory cgroup goes with the instance"
