"""A second instance beside the gateway in service: it starts under its own supervisor, and nothing of it is left.

The gateway is a small program that answers on its health port; supervisor, folders and scripts are the real ones.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.errors import CommandFailed, ForwardRefused, NotReady
from deploy.memory import second_instance as module
from deploy.memory.second_instance import Instance, make_token, second_instance
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.secret import token_fault
from deploy.service.detached import Detached
from deploy.transport.local import LocalTransport

RELEASE = "0123456789abcdef"
GATEWAY = """\
#!PYTHON -I
import http.server, json, os, sys
print("started with", sys.argv[1:], flush=True)
config = json.load(open(sys.argv[3]))
BEHAVIOUR
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass
    def do_GET(self):
        telegram = {"state": "ok"}
        known = {"status": "ok", "version": "1", "pid": os.getpid(), "uptime_s": 1}
        body = json.dumps(known | {"inbound": 0, "outbound": 0, "errors": 0, "telegram": telegram}).encode()
        self.send_response(STATUS)
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", config["gateway"]["port"]), Handler).serve_forever()
"""


def pause(seconds: float) -> None:
    time.sleep(min(seconds, 0.03))


class Board:
    """A prefix with one release, and what there is of it."""

    def __init__(self, prefix: Path) -> None:
        self.layout = Layout(str(prefix))
        self.notes: list[str] = []

    def install(self, *, status: int = 200, behaviour: str = "") -> None:
        binary = Path(self.layout.binary(RELEASE))
        binary.parent.mkdir(parents=True, exist_ok=True)
        text = GATEWAY.replace("PYTHON", sys.executable).replace("BEHAVIOUR", behaviour)
        binary.write_text(text.replace("STATUS", str(status)))
        binary.chmod(0o755)

    @property
    def files(self) -> set[str]:
        root = Path(self.layout.prefix)
        return {str(path.relative_to(root)) for path in root.rglob("*")}

    @contextmanager
    def second(self, transport: LocalTransport | None = None) -> Iterator[Instance]:
        started = second_instance(
            transport or LocalTransport(), self.layout, RELEASE, Limits(), note=self.notes.append, sleep=pause
        )
        with started as second:
            yield second


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path / "a prefix's")
    made.install()
    Path(made.layout.run).mkdir()
    yield made
    LocalTransport().run(Detached(Layout(f"{made.layout.run}/live"), Limits()).uninstall())  # what a failing test left


def runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_it_runs_the_same_release_in_a_folder_of_its_own_and_is_gone_afterwards(board: Board) -> None:
    before = board.files
    with board.second() as second:
        own = second.layout
        assert own.prefix.startswith(board.layout.run + "/")
        assert runs(second.process.pid)
        assert Path(own.pid_file).read_text().split() == [str(second.process.pid), str(second.process.start_ticks)]
        assert Path(own.current).resolve() == Path(board.layout.release(RELEASE)).resolve()
        environment = Path(f"/proc/{second.process.pid}/environ").read_bytes().split(b"\0")
        assert {f"{name}={value}".encode() for name, value in Limits().environment().items()} <= set(environment)
        config = json.loads(Path(own.config).read_text())
        assert config["gateway"] == {"host": "127.0.0.1", "port": second.health_port}
        assert Path(config["channels"]["telegram"]["ca_file"]).read_bytes().startswith(b"-----BEGIN CERTIFICATE")
        assert Path(own.config).stat().st_mode & 0o777 == 0o600
        assert Path(own.prefix).stat().st_mode & 0o777 == 0o700
        assert (
            config["channels"]["telegram"]["token"].encode()
            not in Path(f"/proc/{second.process.pid}/cmdline").read_bytes()
        )
        supervisor = int(Path(own.supervisor_pid_file).read_text().split()[0])
        assert second.user_side.counts().injected == 0
    assert not runs(second.process.pid)
    assert not runs(supervisor)
    assert board.files == before
    assert len(board.notes) == 1


def test_the_gateway_in_service_keeps_its_files_and_its_release(board: Board) -> None:
    for path in (board.layout.config, board.layout.pid_file, board.layout.log_file):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text("of the gateway in service\n")
    before = board.files
    with board.second():
        pass
    assert board.files == before
    assert Path(board.layout.config).read_text() == "of the gateway in service\n"
    assert Path(board.layout.binary(RELEASE)).exists()


def test_it_is_stopped_and_removed_whatever_happens_meanwhile(board: Board) -> None:
    before = board.files
    pids = []

    class Interruption(BaseException):
        pass

    def interrupted() -> None:
        with board.second() as second:
            pids.append(second.process.pid)
            raise Interruption

    with pytest.raises(Interruption):
        interrupted()
    assert not runs(pids[0])
    assert board.files == before


def test_what_a_broken_link_left_of_an_earlier_one_is_stopped_first(board: Board) -> None:
    class Breaking(LocalTransport):
        """Loses the link before the second instance could be stopped."""

    transport = Breaking()
    with second_instance(transport, board.layout, RELEASE, Limits(), note=board.notes.append, sleep=pause) as left:
        transport.close()
    assert runs(left.process.pid)
    with board.second() as second:
        assert not runs(left.process.pid)
        assert second.process != left.process


def test_one_that_does_not_become_ready_says_what_its_log_says(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY_WITHIN_S", 1.5)
    before = board.files
    board.install(status=503)
    with pytest.raises(NotReady) as refused, board.second():
        raise AssertionError("it never was ready")
    assert refused.value.problem == "the second instance is not ready after 1.5 s"
    assert "started with ['gateway', '--config'" in refused.value.log
    assert board.files == before


def test_one_that_ends_at_once_leaves_nothing(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY_WITHIN_S", 0.2)
    before = board.files
    board.install(behaviour="sys.exit('no \\x1b[31mmemory')")
    with pytest.raises((NotReady, CommandFailed)) as refused, board.second():
        raise AssertionError("it never was ready")
    assert "\x1b" not in str(refused.value) + getattr(refused.value, "log", "")
    assert board.files == before


def test_where_the_server_leads_no_port_back_nothing_is_started(board: Board) -> None:
    class LeadsNothingBack(LocalTransport):
        @contextmanager
        def lead_back(self, controller_port: int) -> Iterator[int]:
            if controller_port:
                raise ForwardRefused("the server leads no port back", self.host, prohibited=True)
            yield controller_port

        def own_address(self) -> str | None:
            return None  # a jump host lies between

    before = board.files
    with pytest.raises(ForwardRefused), board.second(LeadsNothingBack()):
        raise AssertionError("there was nothing to talk to")
    assert board.files == before
    assert board.notes == []


def test_further_variables_reach_its_environment(board: Board) -> None:
    asked = {"PPROF": "1", "ODD": "a b'c"}
    started = second_instance(
        LocalTransport(), board.layout, RELEASE, Limits(), note=board.notes.append, environment=asked, sleep=pause
    )
    with started as second:
        environment = Path(f"/proc/{second.process.pid}/environ").read_bytes().split(b"\0")
        assert {b"PPROF=1", b"ODD=a b'c"} <= set(environment)


def test_its_token_has_the_right_form_and_is_another_each_time() -> None:
    tokens = [make_token().reveal().decode() for _ in range(20)]
    assert len(set(tokens)) == 20
    assert [token_fault(token) for token in tokens] == [None] * 20
