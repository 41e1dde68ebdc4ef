"""What every test gets: a home of its own. No test reads or writes the user's folders, keys or agent."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from program import Slimdeploy
from sharing_out import LongestFirst, rank


def pytest_configure() -> None:
    """A run in the background of a shell without job control begins with Ctrl-C ignored; tests send it.

    Hypothesis times each example; on a busy machine that tells nothing, and pytest-timeout ends what hangs.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("whatever the machine does", settings(), deadline=None)
    settings.load_profile("whatever the machine does")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    items.sort(key=lambda item: rank(item.path.relative_to(Path(__file__).parent).as_posix()))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LongestFirst | None:
    """Ours, where no other was asked for."""
    if config.getvalue("dist") != "load":
        return None
    config.option.loadscopereorder = False
    return LongestFirst(config, log)


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
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def session_go_cache(shared_folder: Path) -> Path:
    """Go's cache of this run: what one test compiled of Go's own library, no other one compiles again."""
    cache = shared_folder / "go-build"
    cache.mkdir(exist_ok=True)
    return cache


@pytest.fixture(scope="session")
def warm_cache(shared_folder: Path, session_go_cache: Path) -> Path:
    """A cache folder with the gateway for this machine in it: compiled once for all workers of this run."""
    shared, home = shared_folder, shared_folder / "warm"
    (home / "cache").mkdir(parents=True, exist_ok=True)
    with (shared / "warm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "cache" / "go-build").exists():
            (home / "cache" / "go-build").symlink_to(session_go_cache)
        program = Slimdeploy(home)
        built = program("build", "--board", "local", env={"SLIMDEPLOY_HOME": str(home)}, timeout_s=540)
        assert built.code == 0, built.err
    return home / "cache"


@pytest.fixture
def gateway_is_built(private_home: Path, warm_cache: Path) -> None:
    """The test's own cache is the one in which the gateway stands ready."""
    own = private_home / "slimdeploy"
    own.mkdir(exist_ok=True)
    (own / "cache").symlink_to(warm_cache)
