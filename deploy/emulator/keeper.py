"""Knows how boards that a daemon of ours keeps are brought up, found, and taken down without a trace.

Which daemon that is, and what it serves, is `loopback.py`'s and `emulated.py`'s. Nothing heavy is loaded here.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from deploy.emulator.kept import KeptBoard, daemon_log
from deploy.emulator.private_files import create
from deploy.emulator.processes import end_marked, runs, start_ticks
from deploy.errors import LoopbackFailed, Unsupported
from deploy.folders import state_folder
from deploy.model.display import clean
from deploy.model.reading import Process

_DOWN_S = 10.0
_KILL_S = 5.0
_LOCK_S = 90.0
_LAUNCH_S = 30.0
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Keeper:
    """One kind of kept board. `title` is what its errors call it; `daemon` the module that serves one."""

    kind: str
    title: str
    mark: str
    """The environment variable by which all that was started through a board is found again."""
    daemon: str
    up_s: float
    """How long one may take to come up."""

    @property
    def daemon_mark(self) -> str:
        """The same for the board's own daemon: one that never came up has written no PID."""
        return f"{self.mark}_DAEMON"

    def up(
        self, name: str, settings: dict[str, Any], told: Callable[[str], None] | None = None
    ) -> tuple[KeptBoard, bool]:
        """The board, and whether it was up already; it is brought up with `settings` where it is not.

        `told` gets the lines of the daemon's progress. Raises LoopbackFailed with the daemon's log, Unsupported.
        """
        if not Path("/proc/self/stat").exists():
            raise Unsupported(f"{self.title} needs Linux, and this machine has no /proc: run it on a Linux machine")
        with self._locked(name):
            running = self._running(name)
            return (running, True) if running is not None else (self._start(name, settings, told), False)

    def status(self, name: str) -> KeptBoard | None:
        """The board where it is up, else None; what a killed daemon left, files and processes, is cleared away."""
        found = self._state(name)
        if found is None or runs(found.daemon):
            return found
        with self._locked(name):
            found = self._running(name)
            if found is None and self._state(name) is not None:
                self._clear(name)
            return found

    def settings(self, name: str) -> dict[str, Any]:
        """What the board was brought up with; {} where that can't be told."""
        with suppress(OSError, ValueError):
            found = json.loads((self._folder(name) / "settings.json").read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        return {}

    def listing(self) -> list[KeptBoard]:
        """The boards that are up, by name."""
        parent = state_folder() / self.kind
        if not parent.is_dir():
            return []
        names = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
        return [found for name in names if (found := self.status(name)) is not None]

    def down(self, name: str) -> bool:
        """End the daemon and all that was started through it, and remove its folder. False where nothing was there."""
        if not self._folder(name).exists():
            return False
        with self._locked(name):
            if not self._folder(name).exists():
                return False
            return self._clear(name)

    def _folder(self, name: str) -> Path:
        return state_folder() / self.kind / name

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One `up` or `down` of a board at a time; the lock is gone with the process that holds it (flock(2))."""
        lock = self._folder(name).parent / f".{name}.lock"
        until = time.monotonic() + _LOCK_S + self.up_s
        while (file := _lock(lock)) is None:
            if time.monotonic() >= until:
                raise LoopbackFailed(f"another command has been busy with {self.title} {name} for too long", name)
            time.sleep(_PAUSE_S)
        with file:
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
                with suppress(OSError):
                    lock.parent.rmdir()

    def _start(self, name: str, settings: dict[str, Any], told: Callable[[str], None] | None) -> KeptBoard:
        folder = self._folder(name)
        if folder.exists():
            self._clear(name)
        folder.mkdir(mode=0o700)
        (folder / "home").mkdir(mode=0o700)
        mark = secrets.token_hex(16)
        create(folder / "mark", f"{self.mark}={mark}".encode())
        create(folder / "settings.json", json.dumps(settings).encode())
        number = secrets.randbelow(9 * 10**9) + 10**9
        letters = string.ascii_letters + string.digits + "_-"
        create(folder / "token", f"{number}:{''.join(secrets.choice(letters) for _ in range(35))}".encode())
        until = time.monotonic() + self.up_s
        progress = _Progress(folder / "progress", told)
        try:
            pid = self._launch(name, folder, mark)
            while (found := self._state(name)) is None:
                progress.tell()
                if start_ticks(pid) is None or time.monotonic() >= until:
                    problem = f"{self.title} {name} does not come up"
                    raise LoopbackFailed(problem, name, log=daemon_log(folder))
                time.sleep(_PAUSE_S)
            progress.tell()
        except BaseException:
            self._clear(name)
            raise
        return found

    def _launch(self, name: str, folder: Path, mark: str) -> int:
        """Start the daemon; its PID. The shell ends at once, so that the daemon is nobody's child and outlives us."""
        daemon = [sys.executable, "-m", self.daemon, name, str(folder)]
        launched = subprocess.run(
            ["/bin/sh", "-c", '"$@" </dev/null >"$LOG" 2>&1 & echo $!', "sh", *daemon],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
                "PYTHONUTF8": "1",
                "LOG": str(folder / "daemon.log"),
                self.daemon_mark: mark,
            },
            cwd=folder / "home",
            start_new_session=True,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_LAUNCH_S,
        )
        return int(launched.stdout)

    def _state(self, name: str) -> KeptBoard | None:
        """What the daemon wrote when it was ready; None where there is nothing that can be read."""
        folder = self._folder(name)
        try:
            found = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            daemon = Process(**found.pop("daemon"))
            return KeptBoard(name=name, folder=folder, daemon=daemon, **found)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _running(self, name: str) -> KeptBoard | None:
        found = self._state(name)
        return found if found is not None and runs(found.daemon) else None

    def _clear(self, name: str) -> bool:
        folder = self._folder(name)
        found = self._state(name)
        with suppress(FileNotFoundError):
            mark = (folder / "mark").read_text(encoding="ascii")
            daemon = mark.replace(self.mark, self.daemon_mark, 1)
            # The daemon goes last: as long as it is there, what it started has its Bot API and ends in order.
            if not (
                end_marked(mark, _DOWN_S, _KILL_S)
                and end_marked(daemon, _DOWN_S, _KILL_S, *([found.daemon] if found is not None else []))
            ):
                raise LoopbackFailed(f"a process of {self.title} {name} does not end", name)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise LoopbackFailed(f"the folder of {self.title} {name} can't be removed: {folder}", name)
        return True


class _Progress:
    """The lines that a daemon adds to its progress file, each told once."""

    def __init__(self, path: Path, told: Callable[[str], None] | None) -> None:
        self._path = path
        self._told = told
        self._at = 0

    def tell(self) -> None:
        if self._told is None:
            return
        with suppress(FileNotFoundError):
            text = self._path.read_bytes()[self._at :]
            whole = text[: text.rfind(b"\n") + 1]
            self._at += len(whole)
            for line in whole.splitlines():
                self._told(clean(line))


def _lock(lock: Path) -> IO[str] | None:
    """The file, locked; None where somebody else holds it, or removed it while we took it."""
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        file = lock.open("w")
    except FileNotFoundError:
        return None
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino == lock.stat().st_ino:
            return file
    file.close()
    return None
