"""Traps of a live reading, on the real gateway: people who are not let in, and replies that are no answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import Slimdeploy

from deploy.emulator import loopback

pytestmark = [pytest.mark.usefixtures("gateway_is_built"), pytest.mark.install_check]


@pytest.fixture
def local(slimdeploy: Slimdeploy) -> Iterator[Slimdeploy]:
    yield slimdeploy
    loopback.down("local")


def test_messages_of_people_who_are_not_let_in_are_no_work_though_each_has_a_reply(
    local: Slimdeploy, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"channels": {"telegram": {"allow_from": [987654321]}}}))
    config.chmod(0o600)
    deployed = local("deploy", "--board", "local", "--config-file", str(config), "--no-measure")
    assert deployed.code == 0, deployed.err
    idle = local("memory", "--board", "local", "--json")
    assert idle.document["verdict"] == "PASS", "it stands there, small and ready, and does nothing"
    live = local("memory.live", "--board", "local", "--messages", "3", "--deadline", "3", "--json")
    document = live.document
    assert (live.code, document["verdict"], document["reading"]) == (3, "NOT MEASURED", None), live.out
    counts = document["live"]
    # Each stranger is told that he is not let in: three replies, and nothing was done for them.
    assert (counts["sent"], counts["received"], counts["answered"]) == (3, 0, 3)
    assert "the counts of both sides do not agree" in document["reason"]
