"""What every test gets: a home of its own. No test reads or writes the user's folders, keys or agent."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from program import Slimdeploy


def pytest_configure() -> None:
    """A run in the background of a shell without job control begins with Ctrl-C ignored; tests send it.

    Hypothesis times each example; on a busy machine that tells nothing, and pytest-timeout ends what hangs.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("whatever the machine does", settings(), deadline=None)
    settings.load_profile("whatever the machine does")


LONGEST_FIRST = (
    *("emulated/test_services.py", "emulated/test_swap.py", "emulated/test_power_cuts.py", "emulated/test_deploy.py"),
    *("emulated/", "loopback/", "ssh/", "traps/"),
)
"""The files whose tests take longest: a worker that gets one last keeps all others waiting."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first; see `--dist loadgroup` in the Makefile, which keeps this order."""
    items.sort(key=lambda item: _rank(item.path.relative_to(Path(__file__).parent).as_posix(), LONGEST_FIRST))


def _rank(path: str, order: Sequence[str]) -> int:
    return next((number for number, start in enumerate(order) if path.startswith(start)), len(order))


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME, the XDG folders and SLIMDEPLOY_HOME under the test's own folder; no agent, no colours, 100 columns."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("CONFIG", "CACHE", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.setenv("SLIMDEPLOY_HOME", str(home / "slimdeploy"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("SSH_AUTH_SOCK", "TELEGRAM_BOT_TOKEN", "SLIMDEPLOY_API_KEY", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def slimdeploy(private_home: Path, tmp_path: Path) -> Slimdeploy:
    return Slimdeploy(tmp_path)


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the gateway for this machine in it: compiled once for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    home = shared / "warm"
    home.mkdir(exist_ok=True)
    with (shared / "warm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = Slimdeploy(home)
        built = program("build", "--board", "local", env={"SLIMDEPLOY_HOME": str(home)}, timeout_s=280)
        assert built.code == 0, built.err
    return home / "cache"


@pytest.fixture
def gateway_is_built(private_home: Path, warm_cache: Path) -> None:
    """The test's own cache is the one in which the gateway stands ready."""
    own = private_home / "slimdeploy"
    own.mkdir(exist_ok=True)
    (own / "cache").symlink_to(warm_cache)
