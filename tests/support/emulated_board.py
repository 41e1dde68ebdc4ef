"""An emulated board of a test's own: the daemon as a process with settings written by hand, and a login into it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncssh

TOKEN = "1234567890:" + "A" * 35
_UP_S = 660.0
_END_S = 20.0
_COMMAND_S = 60.0
_PAUSE_S = 0.05
_SLOTS = 4 + 3
"""Four for the boards that tests share, which idle most of the time; three for those that work."""
_SLOT_S = 280.0


class ImageOf(Protocol):
    """Finds the folder of an image: of a machine, and of a user land."""

    def __call__(self, name: str, land: str = "busybox") -> Path: ...


@dataclass(frozen=True, slots=True)
class Said:
    """What a command on the board left."""

    status: int
    out: str


class EmulatedBoard:
    """Up from its making until `stop`."""

    def __init__(self, folder: Path, machine: str, image: Path, *, memory_kib: int = 64 * 1024, **more: Any) -> None:
        self.folder = folder
        self.machine = machine
        self.daemon = started(folder, machine, image, memory_kib=memory_kib, **more)
        try:
            self._wait_for_state()
        except BaseException:
            self.stop()
            raise
        self.state: dict[str, Any] = json.loads((folder / "state.json").read_text())

    def _wait_for_state(self) -> None:
        until_s = time.monotonic() + _UP_S
        while not (self.folder / "state.json").exists():
            assert self.daemon.poll() is None, self.words()
            assert time.monotonic() < until_s, self.words()
            time.sleep(_PAUSE_S)

    def words(self) -> str:
        """What the daemon and the board said last, for a test that failed."""
        files = [self.folder / name for name in ("daemon.log", "progress", "console.log")]
        return "\n".join(path.read_text(errors="replace")[-1500:] for path in files if path.exists())

    @property
    def qemu(self) -> list[int]:
        """The PIDs of the daemon's children."""
        return children(self.daemon.pid)

    def run(self, command: str, data: bytes = b"") -> Said:
        """A command in the board's login shell."""
        return asyncio.run(self._run(command, data))

    async def _run(self, command: str, data: bytes) -> Said:
        async with asyncio.timeout(_COMMAND_S), await self._connect() as connection:
            done = await connection.run(command, input=data, encoding=None)
            return Said(done.exit_status or 0, bytes(done.stdout or b"").decode("utf-8", "replace"))

    def over_tls(self, request: bytes) -> bytes:
        """What the Bot API stand-in answers to bytes that nc on the board carries; TLS ends here and there."""
        return asyncio.run(self._over_tls(request))

    async def _over_tls(self, request: bytes) -> bytes:
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        trust = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        tls = trust.wrap_bio(inward, outward, server_hostname="127.0.0.1")
        async with asyncio.timeout(_COMMAND_S), await self._connect() as connection:
            nc = await connection.create_process(f"nc 127.0.0.1 {self.state['bot_api_port']}", encoding=None)

            async def carry(step: Any) -> Any:
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        nc.stdin.write(outward.read())
                        piece = await nc.stdout.read(16384)
                        if not piece:
                            raise ConnectionError("nc ended") from None
                        inward.write(piece)

            await carry(tls.do_handshake)
            tls.write(request)
            nc.stdin.write(outward.read())
            return bytes(await carry(lambda: tls.read(65536)))

    def refuses_strangers(self) -> bool:
        """Whether the board lets neither a key of nobody's nor an empty password in."""

        async def knock(**credentials: Any) -> bool:
            try:
                async with asyncio.timeout(_COMMAND_S), await self._connect(**credentials):
                    return False
            except asyncssh.PermissionDenied:
                return True

        stranger = asyncssh.generate_private_key("ssh-ed25519")
        return asyncio.run(knock(client_keys=[stranger])) and asyncio.run(knock(client_keys=None, password=""))

    async def _connect(self, **credentials: Any) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            "127.0.0.1",
            self.state["port"],
            username=self.state["user"],
            **(credentials or {"client_keys": [str(self.folder / "id_ed25519")]}),
            known_hosts=str(self.folder / "known_hosts"),
            config=None,
            agent_path=None,
        )

    def ask(self, operation: str) -> dict[str, Any]:
        """An operation of the control port."""
        secret = (self.folder / "control").read_text()
        question = json.dumps({"secret": secret, "operation": operation, "arguments": {}}).encode() + b"\n"
        with socket.create_connection(("127.0.0.1", self.state["control_port"]), _COMMAND_S) as connection:
            connection.sendall(question)
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline())["result"]
        return answer

    def wait_for_boot(self, number: int) -> None:
        """Until that boot is through."""
        until_s = time.monotonic() + _UP_S
        while (boots := self.ask("boots"))["boots"] < number or not boots["up"]:
            assert time.monotonic() < until_s, self.words()
            time.sleep(_PAUSE_S)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help."""
        self.daemon.send_signal(signal.SIGTERM)
        try:
            self.daemon.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait(_END_S)


def listening(pids: list[int]) -> set[tuple[str, str]]:
    """Protocol and local address, in hexadecimal, of what those processes listen at (proc(5), /proc/net/tcp)."""
    sockets = _sockets(pids)
    found = set()
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        table = Path(f"/proc/net/{protocol}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            waits = fields[3] == "0A" or protocol.startswith("udp")
            if waits and f"socket:[{fields[9]}]" in sockets:
                found.add((protocol, fields[1].partition(":")[0]))
    return found


def started(
    folder: Path, machine: str, image: Path, *, memory_kib: int = 64 * 1024, **more: Any
) -> subprocess.Popen[bytes]:
    """A board's daemon in a new folder, as yet without a board that is up."""
    folder.mkdir(mode=0o700, parents=True)
    (folder / "token").write_text(TOKEN)
    settings = {"machine": machine, "image": str(image), "memory_kib": memory_kib, "disk_kib": 32 * 1024}
    (folder / "settings.json").write_text(json.dumps({**settings, "health_port": 8080, **more}))
    with (folder / "daemon.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.emulator.machine_daemon", machine, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def connections(pid: int, port: int) -> int:
    """How many TCP connections to a port a process has that are established (proc(5), /proc/net/tcp)."""
    sockets = _sockets([pid])
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(
        fields[2].endswith(f":{port:04X}") and fields[3] == "01" and f"socket:[{fields[9]}]" in sockets
        for fields in lines
    )


def _sockets(pids: list[int]) -> set[str]:
    return {str(link.readlink()) for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}


def children(parent: int) -> list[int]:
    """The PIDs of a process's own children."""
    return [pid for pid in _pids() if _parent(pid) == parent]


def gone(pid: int, deadline_s: float = _END_S) -> bool:
    """Whether a process ends in time; one that only waits for its parent to ask has ended."""
    until_s = time.monotonic() + deadline_s
    while _state(pid) not in ("", "Z", "X"):
        if time.monotonic() > until_s:
            return False
        time.sleep(_PAUSE_S)
    return True


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _fields(pid: int) -> list[str]:
    """Those of /proc/PID/stat after the program's name; none where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    return (_fields(pid) or [""])[0]


def _parent(pid: int) -> int:
    return int((_fields(pid) or ["0", "0"])[1])


@contextmanager
def slot(folder: Path) -> Iterator[None]:
    """One of the machines that may run at the same time, over all workers (flock(2))."""
    until_s = time.monotonic() + _SLOT_S
    files = [(folder / f"slot{number}.lock").open("w") for number in range(_SLOTS)]
    try:
        while not any(_try(file.fileno()) for file in files):
            assert time.monotonic() < until_s, "no machine's turn came"
            time.sleep(0.1)
        yield
    finally:
        for file in files:
            file.close()


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
