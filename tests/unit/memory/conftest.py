"""What the tests of readings share: processes that stand in for a gateway, and end with the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateways import Gateways


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
