"""A prefix on this machine with releases in it, kept by a service manager under test; its gateway is a script."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from deploy.model.reading import Process
from deploy.service.face import ServiceManager
from deploy.steps.start import parse_pid_file
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Script

# Says what it was started with, then waits; ends as told by a file beside it.
GATEWAY = """\
#!/bin/sh
echo "started $* with $GOMEMLIMIT $GOGC $GOMAXPROCS" >>"{folder}/seen"
[ ! -f "{folder}/end-with" ] || exit "$(cat "{folder}/end-with")"
trap 'echo drained >>"{folder}/seen"; exit 0' TERM
while :; do sleep 0.05; done
"""


@dataclass
class Seat:
    """A prefix with releases in it, and the service under test."""

    folder: Path
    service: ServiceManager
    transport: LocalTransport

    def run(self, script: Script) -> Completed:
        completed = self.transport.run(script)
        assert completed.exit_status == 0, completed.stderr.decode()
        return completed

    def add_release(self, release_id: str) -> None:
        binary = Path(self.service.layout.binary(release_id))
        binary.parent.mkdir(parents=True)
        binary.write_text(GATEWAY.format(folder=self.folder))
        binary.chmod(0o755)

    def stage(self, config: str = "{}") -> list[str]:
        layout = self.service.layout
        Path(layout.config + ".next").write_text(config)
        texts = [text.path for text in self.service.texts()]
        self.run(self.service.stage(texts))
        return [layout.config, *texts]

    def seen(self) -> list[str]:
        file = self.folder / "seen"
        return file.read_text().splitlines() if file.exists() else []

    def pid_file(self) -> Process | None:
        try:
            return parse_pid_file(Path(self.service.layout.pid_file).read_bytes())
        except OSError:
            return None


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def eventually(holds: object, within_s: float = 8.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)
