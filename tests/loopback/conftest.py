"""What tests of the board itself get: a board of their own, or one that a module shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.emulator import loopback
from deploy.emulator.kept import KeptBoard


@pytest.fixture
def board(private_home: Path) -> Iterator[KeptBoard]:
    """A board that this test alone may break."""
    yield loopback.up("local")
    loopback.down("local")


@pytest.fixture(scope="module")
def shared_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptBoard]:
    """A board for the tests of this module that only use it; it came up where a secret stood in the environment."""
    home = str(tmp_path_factory.mktemp("shared"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIMDEPLOY_HOME", home)
        patch.setenv("TELEGRAM_BOT_TOKEN", "a-secret-of-the-controller")
        up = loopback.up("local")
    yield up
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIMDEPLOY_HOME", home)
        loopback.down("local")
