"""Knows the loopback board from the controller's side: bring it up, find it, take it down without a trace.

What it serves is `daemon.py`'s, a process of its own; this module loads nothing heavy.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from deploy.emulator.processes import end_marked, runs, start_ticks
from deploy.errors import LoopbackFailed, Unsupported, UsageError
from deploy.folders import state_folder
from deploy.model.display import clean
from deploy.model.host import Host
from deploy.model.reading import Process
from deploy.model.secret import Secret
from deploy.telegram.user_side import AskedUserSide, UserSide

MARK = "SLIMDEPLOY_LOOPBACK"
"""The environment variable by which all that was started through a board is found again."""

DAEMON_MARK = "SLIMDEPLOY_LOOPBACK_DAEMON"
"""The same for the board's own daemon, with the same value: one that never came up has written no PID."""

_UP_S = 30.0
_DOWN_S = 10.0
_KILL_S = 5.0
_LOCK_S = 90.0
_PAUSE_S = 0.02
_MOST_ANSWER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoopbackBoard:
    """A loopback board that is up. All paths lie in its own folder, 0700."""

    name: str
    folder: Path
    daemon: Process
    user: str
    port: int
    bot_api_port: int
    control_port: int
    health_port: int
    """A port of 127.0.0.1 that was free when the board came up: for the gateway's health page."""
    sftp: bool

    @property
    def address(self) -> str:
        """Loopback, never another interface."""
        return "127.0.0.1"

    @property
    def key_file(self) -> Path:
        """The throw-away private key that logs in."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts_file(self) -> Path:
        """The throw-away host key, as ssh(1) reads it."""
        return self.folder / "known_hosts"

    @property
    def host(self) -> Host:
        """What a transport connects to; no other key and no other known_hosts is asked."""
        return Host(self.address, self.user, self.port, str(self.key_file), str(self.known_hosts_file))

    @property
    def home(self) -> Path:
        """The login's home folder."""
        return self.folder / "home"

    @property
    def base_url(self) -> str:
        """The Bot API stand-in."""
        return f"https://127.0.0.1:{self.bot_api_port}"

    @property
    def ca_file(self) -> Path:
        """The stand-in's throw-away authority, PEM."""
        return self.folder / "ca.pem"

    def token(self) -> Secret:
        """The token of the stand-in's one bot."""
        return Secret((self.folder / "token").read_bytes())

    def user_side(self) -> UserSide:
        """The users of the stand-in, in its daemon."""
        return AskedUserSide(partial(_ask, self))


def _folder(name: str) -> Path:
    return state_folder() / "loopback" / name


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """One `up` or `down` of a board at a time; the lock is gone with the process that holds it (flock(2))."""
    lock = _folder(name).parent / f".{name}.lock"
    until = time.monotonic() + _LOCK_S
    while (file := _lock(lock)) is None:
        if time.monotonic() >= until:
            raise LoopbackFailed(f"another command has been busy with the loopback board {name} for too long", name)
        time.sleep(_PAUSE_S)
    with file:
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
            with suppress(OSError):
                lock.parent.rmdir()


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


def up(name: str, *, sftp: bool | None = None) -> LoopbackBoard:
    """The board, brought up where it is not. `sftp` None takes it as it is, or with SFTP.

    Raises UsageError where it is up and differs in SFTP, LoopbackFailed with the daemon's log, Unsupported off Linux.
    """
    if not Path("/proc/self/stat").exists():
        raise Unsupported("the loopback board needs Linux: this machine has no /proc")
    with _locked(name):
        running = _running(name)
        if running is not None:
            if sftp is not None and running.sftp != sftp:
                has = "with" if running.sftp else "without"
                raise UsageError(f"{name} is up already, {has} SFTP; take it down first (emulate.down --board {name})")
            return running
        return _start(name, sftp is not False)


def _start(name: str, sftp: bool) -> LoopbackBoard:
    folder = _folder(name)
    if folder.exists():
        _clear(name)
    folder.mkdir(mode=0o700)
    (folder / "home").mkdir(mode=0o700)
    mark = secrets.token_hex(16)
    _write(folder / "mark", f"{MARK}={mark}")
    number = secrets.randbelow(9 * 10**9) + 10**9
    letters = string.ascii_letters + string.digits + "_-"
    _write(folder / "token", f"{number}:{''.join(secrets.choice(letters) for _ in range(35))}")
    until = time.monotonic() + _UP_S
    try:
        pid = _launch(name, folder, sftp, mark)
        while (found := _state(name)) is None:
            if start_ticks(pid) is None or time.monotonic() >= until:
                raise LoopbackFailed(f"the loopback board {name} does not come up", name, log=_log(folder))
            time.sleep(_PAUSE_S)
    except BaseException:
        _clear(name)
        raise
    return found


def _launch(name: str, folder: Path, sftp: bool, mark: str) -> int:
    """Start the daemon; its PID. The shell ends at once, so that the daemon is nobody's child and outlives us."""
    daemon = [sys.executable, "-m", "deploy.emulator.daemon", name, str(folder), str(int(sftp))]
    launched = subprocess.run(
        ["/bin/sh", "-c", '"$@" </dev/null >"$LOG" 2>&1 & echo $!', "sh", *daemon],
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PYTHONUTF8": "1",
            "LOG": str(folder / "daemon.log"),
            DAEMON_MARK: mark,
        },
        cwd=folder / "home",
        start_new_session=True,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=_UP_S,
    )
    return int(launched.stdout)


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)


def _log(folder: Path) -> str:
    with suppress(OSError):
        return clean((folder / "daemon.log").read_bytes(), 4000)
    return ""


def _state(name: str) -> LoopbackBoard | None:
    """What the daemon wrote when it was ready; None where there is nothing that can be read."""
    folder = _folder(name)
    try:
        found = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        daemon = Process(**found.pop("daemon"))
        return LoopbackBoard(name=name, folder=folder, daemon=daemon, **found)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _running(name: str) -> LoopbackBoard | None:
    found = _state(name)
    return found if found is not None and runs(found.daemon) else None


def status(name: str) -> LoopbackBoard | None:
    """The board where it is up, else None; what a killed daemon left, files and processes, is cleared away."""
    found = _state(name)
    if found is None or runs(found.daemon):
        return found
    with _locked(name):
        found = _running(name)
        if found is None and _state(name) is not None:
            _clear(name)
        return found


def listing() -> list[LoopbackBoard]:
    """The boards that are up, by name."""
    parent = state_folder() / "loopback"
    if not parent.is_dir():
        return []
    names = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    return [found for name in names if (found := status(name)) is not None]


def down(name: str) -> bool:
    """End the daemon and all that was started through it, and remove its folder. False where nothing was there."""
    if not _folder(name).exists():
        return False
    with _locked(name):
        if not _folder(name).exists():
            return False
        return _clear(name)


def _clear(name: str) -> bool:
    folder = _folder(name)
    found = _state(name)
    with suppress(FileNotFoundError):
        mark = (folder / "mark").read_text(encoding="ascii")
        daemon = mark.replace(MARK, DAEMON_MARK, 1)
        # The daemon goes last: as long as it is there, what it started has its Bot API and ends in order.
        if not (
            end_marked(mark, _DOWN_S, _KILL_S)
            and end_marked(daemon, _DOWN_S, _KILL_S, *([found.daemon] if found is not None else []))
        ):
            raise LoopbackFailed(f"a process of the loopback board {name} does not end", name)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise LoopbackFailed(f"the folder of the loopback board {name} can't be removed: {folder}", name)
    return True


def _ask(board: LoopbackBoard, operation: str, arguments: dict[str, Any], deadline_s: float) -> dict[str, Any]:
    """Ask the daemon for an operation: one line of JSON there, one back."""
    problem = "the Bot API stand-in does not answer"
    try:
        secret = (board.folder / "control").read_text(encoding="ascii")
        question = json.dumps({"secret": secret, "operation": operation, "arguments": arguments}).encode() + b"\n"
        with socket.create_connection((board.address, board.control_port), timeout=deadline_s) as connection:
            connection.sendall(question)
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline(_MOST_ANSWER_BYTES))
    except (OSError, ValueError) as error:
        raise LoopbackFailed(problem, board.name, log=_log(board.folder)) from error
    if "error" in answer:
        raise ValueError(answer["error"])
    result: dict[str, Any] = answer["result"]
    return result
