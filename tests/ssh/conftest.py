"""The servers as fixtures, each in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import DROPBEAR_WITH_SFTP, Server, dropbear, openssh


@pytest.fixture
def server_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "server"
    folder.mkdir()
    return folder


@pytest.fixture
def openssh_server(server_folder: Path) -> Iterator[Server]:
    with openssh(server_folder) as server:
        yield server


@pytest.fixture
def dropbear_server(server_folder: Path) -> Iterator[Server]:
    with dropbear(server_folder) as server:
        yield server


@pytest.fixture(params=["OpenSSH", "Dropbear"])
def real_server(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[Server]:
    """The same test on both; on DROPBEAR_WITH_SFTP too where it says so."""
    with (
        openssh(server_folder)
        if request.param == "OpenSSH"
        else dropbear(server_folder, sftp=request.param == DROPBEAR_WITH_SFTP)
    ) as server:
        yield server
