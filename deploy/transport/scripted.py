"""Knows how to play a host in unit tests: answers that a test wrote, and no network. The project's one fake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from deploy.errors import ConnectionLost, ForwardRefused
from deploy.transport.protocol import Completed, Progress, Script

Answer = Completed | bytes | Exception | Callable[[Script], "Completed | bytes | Exception"]
"""How a script ends: wholly, by its output (status 0), with an error that is raised, or by a function of it."""

Printed = Callable[[Script], Iterable["bytes | Exception"]]
"""What a script prints while it runs, line by line, as a function of it; an error is raised in a line's place."""


class ScriptedTransport:
    """Answers scripts by their titles; an answer that is a list is used up in order. What was asked is in `scripts`."""

    def __init__(
        self,
        answers: dict[str, Answer | list[Answer]],
        *,
        requests: list[bytes | Exception] | None = None,
        streams: list[Printed] | None = None,
        host: str = "root@board",
    ) -> None:
        self._answers = {title: list(each) if isinstance(each, list) else each for title, each in answers.items()}
        self._requests = list(requests or [])
        self._streams = list(streams or [])
        self._host = host
        self._closed = False
        self.scripts: list[Script] = []
        self.requested: list[tuple[int, bytes]] = []

    @property
    def host(self) -> str:
        """The host as the user would write it."""
        return self._host

    @property
    def round_trips(self) -> int:
        """How many questions were asked so far."""
        return len(self.scripts) + len(self.requested)

    @property
    def titles(self) -> list[str]:
        """The titles of the scripts that ran, in order."""
        return [script.title for script in self.scripts]

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        """The test's answer. Raises AssertionError for a script that the test did not expect."""
        if self._closed:
            raise ConnectionLost("the connection is closed", self._host)
        self.scripts.append(script)
        answer = self._answers.get(script.title)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if callable(answer):
            answer = answer(script)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return Completed(0, answer, b"", 0.0)
        if not isinstance(answer, Completed):
            raise AssertionError(f"nobody expected this script: {script.title}")
        return answer

    @contextmanager
    def stream(self, script: Script, quiet_s: float) -> Iterator[Iterator[bytes]]:
        """The lines of the test's next stream. Raises AssertionError where it has none left."""
        if self._closed:
            raise ConnectionLost("the connection is closed", self._host)
        self.scripts.append(script)
        if not self._streams:
            raise AssertionError(f"nobody expected this script: {script.title}")
        yield _raising(self._streams.pop(0)(script))

    def request(self, port: int, data: bytes, deadline_s: float = 10.0) -> bytes:
        """The next of the test's answers. Raises ForwardRefused where there is none left."""
        self.requested.append((port, data))
        answer = (
            self._requests.pop(0) if self._requests else ForwardRefused(f"nothing listens on port {port}", self._host)
        )
        if isinstance(answer, Exception):
            raise answer
        return answer

    @contextmanager
    def lead_back(self, controller_port: int) -> Iterator[int]:
        """The same port."""
        yield controller_port

    def own_address(self) -> str | None:
        """This machine."""
        return "127.0.0.1"

    def close(self) -> None:
        """From now on nothing answers."""
        self._closed = True


def _raising(printed: Iterable[bytes | Exception]) -> Iterator[bytes]:
    for line in printed:
        if isinstance(line, Exception):
            raise line
        yield line
