"""What the tests of scripts share: this machine by way of three shells, and a process to look at."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from shells import BusyBoxTransport, DashTransport

from deploy.transport.local import LocalTransport

# Debian's /bin/sh is dash already: once is enough then.
_SHELLS = ["sh", "busybox"] if Path("/bin/sh").resolve().name == "dash" else ["sh", "dash", "busybox"]


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.install_check if name != "sh" else ()) for name in _SHELLS]
)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalTransport]:
    """This machine as a board, with /bin/sh, with dash, and with BusyBox's ash and applets alone."""
    if request.param == "sh":
        transport = LocalTransport()
    elif request.param == "dash":
        transport = DashTransport()
    else:
        transport = BusyBoxTransport(tmp_path / "applets")
    yield transport
    transport.close()


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The PID of a process that only sleeps, with one soft limit and a secret in its environment."""
    environment = {"GOMEMLIMIT": "5MiB", "GOGC": "a\nGOMAXPROCS=7", "TELEGRAM_BOT_TOKEN": "hidden-token"}
    with subprocess.Popen(
        ["/bin/sleep", "600"], env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    ) as process:
        yield process.pid
        process.kill()
