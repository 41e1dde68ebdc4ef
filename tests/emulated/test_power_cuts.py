"""The power goes amid a deployment, at moments that chance picks: the board boots into the old release or the new one.

A few moments here; SLIMDEPLOY_POWER_CUTS=20 takes as many as you have time for, half a minute each.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulated_board import ImageOf, slot
from program import Slimdeploy

from deploy import catalogue
from deploy.emulator import emulated
from deploy.emulator.machines import machine_for

CUTS = int(os.environ.get("SLIMDEPLOY_POWER_CUTS", "2"))

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(300 + 90 * CUTS)]

BOARD, LAND = "licheerv", "busybox"
_DEPLOY_S = 550


@pytest.fixture
def board(
    private_home: Path, emulated_cache: Path, image_of: ImageOf, slimdeploy: Slimdeploy
) -> Iterator[tuple[str, ...]]:
    """The flags of a board whose own init starts the gateway at each boot."""
    image_of(machine_for(catalogue.board(BOARD).target).name, LAND)
    home = private_home / "slimdeploy"
    home.mkdir()
    (home / "cache").symlink_to(emulated_cache / "cache")
    with slot(emulated_cache):
        try:
            up = slimdeploy("emulate.up", "--board", BOARD, "--user-land", LAND, timeout_s=_DEPLOY_S)
            assert up.code == 0, up.err
            yield ("--board", BOARD, "--emulate")
        finally:
            emulated.down(BOARD)


def test_the_power_may_go_at_any_moment(
    slimdeploy: Slimdeploy, board: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    releases, seconds = {}, 0.0
    for version in ("1.0.0", "2.0.0", "1.0.0"):
        began_s = time.monotonic()
        done = slimdeploy("deploy", *board, "--no-measure", "--version", version, "--json", timeout_s=_DEPLOY_S)
        assert done.code == 0, done.err
        seconds = time.monotonic() - began_s
        releases[done.document["artifact"]["sha256"]] = version
    assert len(releases) == 2

    chance = random.Random(os.environ.get("SLIMDEPLOY_POWER_CUTS_SEED", "slimdeploy"))
    current, ends = "1.0.0", []
    for number in range(CUTS):
        moment_s = seconds * (number + chance.random()) / CUTS
        wanted = "2.0.0" if current == "1.0.0" else "1.0.0"
        deployment = slimdeploy.start("deploy", *board, "--no-measure", "--version", wanted)
        try:
            time.sleep(moment_s)
            assert slimdeploy("emulate.power-cut", "--board", BOARD, timeout_s=_DEPLOY_S).code == 0
            deployment.communicate(timeout=120)
        finally:
            deployment.kill()
            deployment.communicate()
        until_s = time.monotonic() + 60
        while not (status := slimdeploy("status", *board, "--json")).document.get("running"):
            assert time.monotonic() < until_s, f"nothing runs after a cut {moment_s:.2f} s into it: {status}, {ends}"
            time.sleep(1)
        current = releases[status.document["sha256"]]
        ends.append((round(moment_s, 2), wanted, current))

    wanted = "2.0.0" if current == "1.0.0" else "1.0.0"
    repaired = slimdeploy("deploy", *board, "--version", wanted, "--json", timeout_s=_DEPLOY_S)
    assert (repaired.code, repaired.document["verdict"]) == (0, "PASS"), repaired.err
    listed = slimdeploy("releases", *board, "--json").document["releases"]
    assert [each["is"] for each in listed] == ["current", "before"] and all(each["whole"] for each in listed)
    record_property("cut at (s, wanted, what ran then)", f"{ends}, of {seconds:.1f} s")
