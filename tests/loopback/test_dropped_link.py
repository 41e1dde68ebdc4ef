"""The link goes at every step of a deployment: the board runs the old release or the new one, and the next one repairs.

The server, the gateway and the guard are real; the connection is closed for good, before a script is sent or while it
runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripted_boards import Silent
from seats import eventually

from deploy.board_shell.framing import Framing
from deploy.board_shell.health import parse_health
from deploy.board_shell.observe import observe_script, parse_observation
from deploy.cli import reaching
from deploy.cli.planning import Wishes, plan_for
from deploy.emulator.kept import KeptBoard
from deploy.errors import BadAnswer, ConnectionLost, HostError
from deploy.model.facts import Running
from deploy.model.layout import Layout
from deploy.pipeline import DEPLOY, carry_out
from deploy.steps.asking import must
from deploy.steps.face import Job, Step
from deploy.steps.start import Start
from deploy.steps.verify import Verify
from deploy.transport.protocol import Completed, Progress, Script, Transport

GUARD_S = 4
"""The guard's patience here, in place of two minutes."""

MOST_STEPS = 12
"""More questions than a deployment asks, so that the last cut comes too late."""


@dataclass
class Cut:
    """A transport whose connection goes at one question: before it is sent, or `after_s` into it."""

    inner: Transport
    at: int
    after_s: float | None = None
    asked: int = 0

    @property
    def host(self) -> str:
        return self.inner.host

    @property
    def round_trips(self) -> int:
        return self.inner.round_trips

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        self._count()
        return self.inner.run(script, progress)

    def request(self, port: int, data: bytes, deadline_s: float = 10.0) -> bytes:
        self._count()
        return self.inner.request(port, data, deadline_s)

    def lead_back(self, controller_port: int) -> AbstractContextManager[int]:
        return self.inner.lead_back(controller_port)

    def close(self) -> None:
        self.inner.close()

    def _count(self) -> None:
        self.asked += 1
        if self.asked > self.at:
            raise ConnectionLost("the link is gone", self.host)
        if self.asked == self.at and self.after_s is None:
            self.inner.close()
            raise ConnectionLost("the link is gone", self.host)
        if self.asked == self.at:
            threading.Timer(self.after_s or 0, self.inner.close).start()


class Desk:
    """A controller with two releases at hand, and one board."""

    def __init__(self) -> None:
        self.place = reaching.choose("local", "")
        self.steps: tuple[Step, ...] = tuple(
            Start(guard_s=GUARD_S)
            if isinstance(each, Start)
            else Verify(settle_s=0.3)
            if each.title == "Verify"
            else each
            for each in DEPLOY
        )

    def deploy(self, version: str, at: int = 0, after_s: float | None = None) -> tuple[Job, HostError | None]:
        wishes = Wishes(version=version, config_file="", memory_limit="5MiB" if version == "1.0.0" else "6MiB")
        with closing(reaching.connect(self.place)) as transport:
            job = Job(plan_for(self.place, wishes), Cut(transport, at, after_s) if at else transport)
            with suppress(HostError):
                carry_out(self.steps, job, Silent())
                return job, None
            # Whatever it raised, it has to be one of ours.
            return job, ConnectionLost("gone")

    def running(self) -> tuple[Running | None, bool]:
        """What runs, and whether it is ready."""
        framing = Framing.new()
        with closing(reaching.connect(self.place)) as transport:
            ended = must(transport, observe_script(self.layout, framing))
        running, said = parse_observation(framing, ended.stdout)
        try:
            return running, parse_health(said).ready
        except BadAnswer:
            return running, False

    @property
    def layout(self) -> Layout:
        return Layout(self.prefix)

    prefix = ""


@pytest.fixture
def desk(board: KeptBoard, gateway_is_built: None) -> Iterator[Desk]:
    desk = Desk()
    for version in ("1.0.0", "2.0.0", "1.0.0"):
        job, failed = desk.deploy(version)
        assert failed is None
    desk.prefix = job.layout.prefix
    yield desk


def _settled(run: Path) -> bool:
    """Nobody is about to change anything any more."""
    return not (run / "guard").exists() and not (run / "guard.now").exists()


@pytest.mark.timeout(280)
@pytest.mark.parametrize("after_s", [None, 0.03, 0.25], ids=["before", "at once", "amid"])
def test_wherever_the_link_goes_the_board_runs_one_of_the_two(desk: Desk, after_s: float | None) -> None:
    run = Path(desk.prefix, "run")
    ends = []
    for at in range(1, MOST_STEPS):
        old, ready = desk.running()
        assert old is not None and ready
        _, failed = desk.deploy("2.0.0", at, after_s)
        eventually(lambda: _settled(run), 60)
        eventually(lambda: desk.running()[1], 30)
        now, _ = desk.running()
        assert now is not None
        config = (Path(desk.prefix, "config.json").exists(), Path(desk.prefix, "current").resolve().name)
        assert config == (True, now.exe_sha256[:16])
        ends.append("old" if now.exe_sha256 == old.exe_sha256 else "new")
        if failed is None:
            assert ends[-1] == "new"
            break
        (run / "lock").unlink(missing_ok=True)  # the next one need not wait for its end
        job, repaired = desk.deploy("1.0.0")
        assert repaired is None and job.committed
        assert not (run / "lock").is_symlink()
        time.sleep(0.1)
    else:
        pytest.fail("the cut never came too late: a deployment asks more than this test expects")
    assert not list(Path(desk.prefix).rglob("*.next*"))
    assert "old" in ends and ends[-1] == "new", ends
