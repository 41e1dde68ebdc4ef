"""Trap 3: messages that never arrived. A live reading stands only where both sides counted the same, over TLS."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gateways import QUICK, Gateways
from readings import failed, names_no_figure

from deploy.board_shell.health import Health
from deploy.errors import BadAnswer, ConnectionLost, DeadlineExceeded, ForwardRefused, HostError, TelegramRefused
from deploy.memory import live
from deploy.memory.budget import judge
from deploy.memory.counters import counters
from deploy.memory.live import Load, did_the_work, live_reading
from deploy.memory.real import real_reading
from deploy.model.layout import Layout
from deploy.model.reading import Process, Reading
from deploy.model.verdict import Budget, Outcome
from deploy.telegram.counts import BurstCount
from deploy.telegram.user_account import UserCount
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed
from deploy.transport.scripted import ScriptedTransport

PROCESS = Process(4242, 123456)
BEFORE = Health(
    ready=True,
    version="1",
    pid=4242,
    uptime_s=9,
    inbound=7,
    outbound=7,
    errors=0,
    telegram_state="ok",
    telegram_detail="",
    tls="",
)
AFTER = replace(BEFORE, inbound=57, outbound=57)
BURST = BurstCount(50, 50, 50, "TLSv1.3", "TLS_AES_128_GCM_SHA256", 1.5)


# --- the proof by itself


def test_both_sides_agree_over_tls() -> None:
    proof = did_the_work(PROCESS, 50, BURST, BEFORE, AFTER)
    assert (proof.ok, proof.required) == (True, True)
    assert proof.detail == "50 messages sent, 50 received, 50 answered, over TLSv1.3 TLS_AES_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"process": None}, "no gateway runs"),
        ({"before": None}, "does not answer on its health port"),
        ({"burst": None}, "no message was sent"),
        ({"after": None}, "after the messages"),
        ({"after": replace(AFTER, pid=1)}, "another process answers on the health port: PID 1 instead of 4242"),
        ({"before": replace(BEFORE, pid=1)}, "another process answers on the health port: PID 1 instead of 4242"),
        ({"burst": replace(BURST, sent=49, delivered=49, answered=49)}, "50 were to be sent"),
        (
            {"burst": replace(BURST, delivered=0, answered=0), "after": BEFORE},
            "50 messages sent, 0 received, 0 answered",
        ),
        ({"burst": replace(BURST, delivered=49)}, "do not agree"),
        ({"burst": replace(BURST, answered=49)}, "do not agree"),
        ({"burst": replace(BURST, answered=51)}, "do not agree"),
        ({"after": replace(AFTER, inbound=56)}, "do not agree"),
        ({"after": replace(AFTER, inbound=58)}, "do not agree"),
        ({"after": replace(AFTER, inbound=50)}, "do not agree"),  # the counter since the start is no count of the load
        ({"after": replace(AFTER, outbound=56)}, "the gateway itself counts 49 replies"),
        ({"after": replace(AFTER, inbound=0, outbound=0)}, "do not agree"),  # it was started again
        ({"burst": replace(BURST, tls_version="", tls_cipher="")}, "not over TLS"),
    ],
)
def test_whatever_does_not_agree_is_no_work_done(changes: dict[str, Any], said: str) -> None:
    known: dict[str, Any] = {"process": PROCESS, "messages": 50, "burst": BURST, "before": BEFORE, "after": AFTER}
    proof = did_the_work(**(known | changes))
    assert not proof.ok
    assert proof.required
    assert said in proof.detail


# --- with a process, a health page over a real socket, and users who count


@dataclass
class HealthPage:
    """What a gateway says of itself on 127.0.0.1."""

    pid: int
    inbound: int = 7
    outbound: int = 7
    port: int = 0
    asked: list[str] = field(default_factory=list)

    def document(self) -> bytes:
        telegram = {"state": "ok", "tls_version": "TLSv1.3", "tls_cipher": "TLS_AES_128_GCM_SHA256"}
        counts = {"pid": self.pid, "inbound": self.inbound, "outbound": self.outbound}
        known = {"status": "ok", "version": "1", "uptime_s": 3, "errors": 0, "telegram": telegram}
        return json.dumps(known | counts).encode()


class Users:
    """The user's side: says what it was told to have counted, and lets the gateway's counters move."""

    def __init__(self, page: HealthPage, count: BurstCount, *, counted: int = 50) -> None:
        self.page, self.count, self.counted = page, count, counted
        self.sent: list[int] = []

    def burst(
        self,
        messages: int,
        *,
        chats: int | None = None,
        kinds: tuple[str, ...] = (),
        rate_hz: float = 0.0,
        deadline_s: float = 60.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> BurstCount:
        self.sent.append(messages)
        self.page.inbound += self.counted
        self.page.outbound += self.counted
        return self.count

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a live reading does not {name}")


@pytest.fixture
def page(gateways: Gateways) -> Iterator[HealthPage]:
    pid = gateways.supervise()
    gateways.runs(pid)
    known = HealthPage(pid)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known.asked.append(self.path)
            body = known.document()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield known
        server.shutdown()
        thread.join()


def read(gateways: Gateways, users: Users, port: int, **more: Any) -> Reading:
    return live_reading(
        LocalTransport(), gateways.subject(), users, health_port=port, pace=QUICK, sleep=lambda _: None, **more
    )


def test_messages_counted_at_both_ends_make_a_live_reading(gateways: Gateways, page: HealthPage) -> None:
    users = Users(page, BURST)
    reading = read(gateways, users, page.port, circumstances={"board": "a\x1bboard"}, clock=lambda: 0.0)
    assert failed(reading) == set()
    assert users.sent == [50]
    assert page.asked == ["/health", "/health"]
    assert reading.live is not None
    assert (reading.live.sent, reading.live.received, reading.live.answered) == (50, 50, 50)
    assert reading.live.tls == "TLSv1.3 TLS_AES_128_GCM_SHA256"
    assert reading.circumstances["board"] == "a\\x1bboard"
    assert reading.circumstances["taken at"] == "1970-01-01T00:00:00Z"
    assert reading.circumstances["clock skew"] != "none"
    verdict = judge(reading, Budget())
    assert (verdict.outcome, verdict.reason[:5]) == (Outcome.PASS, "live:")
    assert next(proof for proof in reading.evidence if proof.name == "peak_reset").ok
    assert reading.hwm_before_load_kib is not None


@pytest.mark.parametrize(
    ("count", "counted", "said"),
    [
        # 50 calls of sendMessage with the bot's own token: the gateway never saw one of them
        (BurstCount(50, 0, 0, "", "", 60.0), 0, "50 messages sent, 0 received, 0 answered"),
        (replace(BURST, delivered=49, answered=49), 49, "50 messages sent, 49 received, 49 answered"),
        (replace(BURST, answered=49), 50, "50 messages sent, 50 received, 49 answered"),
        (BURST, 49, "50 messages sent, 49 received, 50 answered"),
        (replace(BURST, tls_version=""), 50, "not over TLS"),
    ],
)
def test_messages_that_did_not_arrive_leave_no_figure(
    gateways: Gateways,
    page: HealthPage,
    monkeypatch: pytest.MonkeyPatch,
    count: BurstCount,
    counted: int,
    said: str,
) -> None:
    monkeypatch.setattr(live, "_COUNTERS_CATCH_UP_S", 0.05)
    reading = read(gateways, Users(page, count, counted=counted), page.port)
    assert failed(reading) == {"did_the_work"}
    verdict = judge(reading, Budget(rss_kib=1 << 30))
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert said in verdict.reason
    assert names_no_figure(verdict)


def test_counters_that_lag_behind_the_bot_api_are_waited_for(gateways: Gateways, page: HealthPage) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            page.inbound, page.outbound = 57, 57

    reading = live_reading(
        LocalTransport(),
        gateways.subject(),
        Users(page, BURST, counted=0),
        health_port=page.port,
        pace=QUICK,
        sleep=nap,
    )
    assert failed(reading) == set()
    assert len(naps) == 3


def test_another_process_on_the_health_port_did_not_do_the_work_for_this_one(
    gateways: Gateways, page: HealthPage
) -> None:
    page.pid = os.getpid()
    reading = read(gateways, Users(page, BURST), page.port)
    assert failed(reading) == {"did_the_work"}
    assert "another process answers" in judge(reading, Budget()).reason


class Restarting(Users):
    """Users whose messages come while the gateway is started again."""

    def __init__(self, page: HealthPage, gateways: Gateways, *, says_so: bool) -> None:
        super().__init__(page, BURST)
        self.gateways, self.says_so = gateways, says_so

    def burst(self, messages: int, **more: Any) -> BurstCount:
        for pid in (self.gateways.started[0].pid, self.page.pid):
            os.kill(pid, signal.SIGKILL)
        pid = self.gateways.supervise()
        self.gateways.runs(pid)
        if self.says_so:
            self.page.pid, self.page.inbound, self.page.outbound = pid, -50, -50  # counts from 0, all of them lost
        return super().burst(messages, **more)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_gateway_that_is_started_again_during_the_burst_was_not_measured(
    gateways: Gateways, page: HealthPage, monkeypatch: pytest.MonkeyPatch, says_so: bool
) -> None:
    monkeypatch.setattr(live, "_COUNTERS_CATCH_UP_S", 0.05)
    first = page.pid
    reading = read(gateways, Restarting(page, gateways, says_so=says_so), page.port)
    assert "same_process" in failed(reading)
    assert ("did_the_work" in failed(reading)) is says_so
    verdict = judge(reading, Budget(rss_kib=1 << 30))
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert "replaced by another one" in verdict.reason
    assert names_no_figure(verdict)
    proof = next(proof for proof in reading.evidence if proof.name == "did_the_work")
    if says_so:
        assert proof.detail == f"another process answers on the health port: PID {page.pid} instead of {first}"
        assert reading.live is not None
        assert reading.live.received == 0  # and not 7 less than nothing


def test_a_gateway_that_dies_of_the_burst_was_not_measured(
    gateways: Gateways, page: HealthPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_COUNTERS_CATCH_UP_S", 0.05)

    class Deadly(Users):
        def burst(self, messages: int, **more: Any) -> BurstCount:
            for pid in (gateways.started[0].pid, page.pid):
                os.kill(pid, signal.SIGKILL)
            gateways.started[0].wait(10)
            gateways.wait_for(lambda: not Path(f"/proc/{page.pid}/exe").exists())
            return replace(BURST, delivered=12, answered=11)

    reading = read(gateways, Deadly(page, BURST), page.port)
    missing = failed(reading)
    assert {"settled", "did_the_work", "started_by_us"} <= missing
    assert missing & {"same_process", "alive"}  # gone, or a zombie where the machine's init is slow to wait for it
    verdict = judge(reading, Budget(rss_kib=1 << 30))
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert names_no_figure(verdict)


def test_users_are_told_how_many_messages_how_long_and_whom_to_tell(gateways: Gateways, page: HealthPage) -> None:
    told: list[tuple[int, dict[str, Any]]] = []

    class Noting(Users):
        def burst(self, messages: int, **more: Any) -> BurstCount:
            told.append((messages, more))
            return super().burst(messages)

    def progress(answered: int, sent: int) -> None:
        raise AssertionError("these users say nothing")

    count = replace(BURST, sent=7, delivered=7, answered=7)
    load = Load(messages=7, deadline_s=3.5, kinds=("long",), rate_hz=2.5)
    reading = read(gateways, Noting(page, count, counted=7), page.port, load=load, progress=progress)
    assert told == [(7, {"kinds": ("long",), "rate_hz": 2.5, "deadline_s": 3.5, "progress": progress})]
    assert failed(reading) == set()


def test_a_peak_that_cannot_be_set_back_is_the_one_since_the_start_and_says_so(
    gateways: Gateways, page: HealthPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "reset_peak", lambda transport, process: False)
    reading = read(gateways, Users(page, BURST), page.port)
    assert failed(reading) == set()
    assert reading.hwm_before_load_kib is None
    proof = next(proof for proof in reading.evidence if proof.name == "peak_reset")
    assert (proof.ok, proof.required) == (False, False)


def test_a_gateway_that_answers_nobody_gets_no_message(gateways: Gateways, page: HealthPage) -> None:
    users = Users(page, BURST)
    reading = read(gateways, users, 1)  # nothing listens there, and there is no `current` to ask instead
    assert users.sent == []
    assert failed(reading) == {"did_the_work"}
    assert reading.hwm_before_load_kib is None


def test_where_no_gateway_runs_nothing_is_sent_and_nothing_measured(gateways: Gateways) -> None:
    users = Users(HealthPage(1), BURST)
    reading = read(gateways, users, 1)
    assert users.sent == []
    verdict = judge(reading, Budget())
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert verdict.reason.startswith("no gateway runs")


def test_a_load_of_no_message_is_a_usage_fault(gateways: Gateways) -> None:
    with pytest.raises(ValueError, match="one message at least"):
        read(gateways, Users(HealthPage(1), BURST), 1, load=Load(messages=0))


class NoForwarding(LocalTransport):
    """This machine behind a server that forwards nothing."""

    def request(self, port: int, data: bytes, deadline_s: float = 10.0) -> bytes:
        raise ForwardRefused("administratively prohibited", self.host)


def test_without_forwarding_the_binary_itself_is_asked(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "a prefix's"))
    binary = Path(layout.current) / "picoclaw"
    binary.parent.mkdir(parents=True)
    document = HealthPage(77).document().decode()
    binary.write_text(f'#!/bin/sh\n[ "$*" = "status --json --config {layout.config}" ] && echo \'{document}\'\n')
    binary.chmod(0o755)
    found = counters(NoForwarding(), layout, 8080)
    assert found is not None
    assert (found.pid, found.inbound, found.ready) == (77, 7, True)
    binary.write_text("#!/bin/sh\necho panic >&2; exit 2\n")
    assert counters(NoForwarding(), layout, 8080) is None


# --- whom the counters are asked of, where not everything works

LAYOUT = Layout("/opt/picoclaw")
ASKED = "ask the gateway for its counters"


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 " + status.encode() + b"\r\nContent-Type: application/json\r\n\r\n" + body


def test_the_forwarded_channel_is_asked_first_and_then_nothing_else() -> None:
    transport = ScriptedTransport({}, requests=[http(HealthPage(77, inbound=9).document())])
    found = counters(transport, LAYOUT, 8099)
    assert found is not None
    assert (found.pid, found.inbound) == (77, 9)
    assert transport.titles == []
    assert transport.requested == [(8099, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:8099\r\nConnection: close\r\n\r\n")]


def test_a_gateway_that_is_not_ready_has_counters_all_the_same() -> None:
    answer = http(HealthPage(77).document(), "503 Service Unavailable")
    found = counters(ScriptedTransport({}, requests=[answer]), LAYOUT, 8080)
    assert found is not None
    assert (found.pid, found.ready) == (77, False)


@pytest.mark.parametrize(
    "refusal",
    [
        ForwardRefused("administratively prohibited", "root@board", prohibited=True),
        ForwardRefused("nothing listens on port 8080", "root@board"),
        DeadlineExceeded("no answer in 10 s", "root@board"),
        BadAnswer("cut short", "root@board"),
        b"SSH-2.0-dropbear\r\n",
        http(b"<html>a router's page</html>"),
        b"",
    ],
    ids=repr,
)
def test_whatever_the_channel_lacks_the_binary_on_the_board_is_asked(refusal: bytes | Exception) -> None:
    transport = ScriptedTransport({ASKED: HealthPage(77, outbound=8).document()}, requests=[refusal])
    found = counters(transport, LAYOUT, 8080)
    assert found is not None
    assert (found.pid, found.outbound) == (77, 8)
    (script,) = transport.scripts
    assert script.text == (
        "/opt/picoclaw/current/picoclaw status --json --config /opt/picoclaw/config.json 2>/dev/null\n"
    )
    assert not script.changes
    assert 0 < script.deadline_s < 60


@pytest.mark.parametrize(
    "answer",
    [
        Completed(127, b"", b"not found", 0.0),
        b"",
        b"not running\n",
        b"[]",
        b'{"status":"ok"}',
        b"{" * 100_000,
        DeadlineExceeded("no answer in 15 s", "root@board"),
    ],
    ids=lambda answer: repr(answer)[:30],
)
def test_where_the_binary_has_no_answer_either_there_are_no_counters(answer: Completed | bytes | Exception) -> None:
    assert counters(ScriptedTransport({ASKED: answer}), LAYOUT, 8080) is None


@pytest.mark.parametrize("where", ["request", "script"])
def test_a_lost_connection_is_no_silent_gateway(where: str) -> None:
    lost: HostError = ConnectionLost("the connection is lost", "root@board")
    transport = ScriptedTransport({ASKED: lost}, requests=[lost] if where == "request" else [])
    with pytest.raises(ConnectionLost):
        counters(transport, LAYOUT, 8080)


def test_where_the_server_forwards_nothing_the_whole_reading_is_had_by_the_binary(
    gateways: Gateways, page: HealthPage
) -> None:
    folder = gateways.folder / "asked"
    folder.mkdir()
    Path(gateways.layout.current).symlink_to(folder)
    binary = folder / "picoclaw"
    binary.write_text(
        f"#!{sys.executable}\nimport urllib.request\n"
        f"print(urllib.request.urlopen('http://127.0.0.1:{page.port}/health').read().decode())\n"
    )
    binary.chmod(0o755)
    reading = live_reading(
        NoForwarding(),
        gateways.subject(),
        Users(page, BURST),
        health_port=page.port,
        pace=QUICK,
        sleep=lambda _: None,
    )
    assert failed(reading) == set()
    assert judge(reading, Budget()).reason.startswith("live: ")


# --- through the real Telegram, from a user's account


def really(gateways: Gateways, page: HealthPage, count: UserCount | Exception, *, moves: int = 5) -> Reading:
    """A reading while an account writes `moves` messages; `count` is what that account says of them."""
    layout = gateways.subject().layout
    offset = Path(layout.offset_file)
    offset.write_text("12345 1000\n")

    def send() -> UserCount:
        page.inbound += moves
        page.outbound += moves
        offset.write_text(f"12345 {1000 + moves}\n")
        if isinstance(count, Exception):
            raise count
        return count

    return real_reading(
        LocalTransport(),
        gateways.subject(),
        health_port=page.port,
        messages=5,
        deadline_s=0.5,
        circumstances={},
        progress=lambda done, of: None,
        send=send,
        pace=QUICK,
    )


def test_what_an_account_has_sent_and_seen_answered_makes_a_live_reading(gateways: Gateways, page: HealthPage) -> None:
    reading = really(gateways, page, UserCount(5, 5, 4.0))
    assert failed(reading) == set()
    assert judge(reading, Budget()).outcome is Outcome.PASS
    assert reading.live is not None and (reading.live.sent, reading.live.received, reading.live.answered) == (5, 5, 5)
    proof = next(proof for proof in reading.evidence if proof.name == "did_the_work")
    assert proof.detail.startswith(
        "5 sent and 5 answered as their user sees it; 5 messages from a user's account received"
    )
    assert "the offset of getUpdates moved by 5" in proof.detail
    assert reading.circumstances["messages"].startswith("from a user's account")


@pytest.mark.parametrize(
    ("count", "moves", "said"),
    [
        (UserCount(4, 4, 1.0), 5, "5 were to be sent"),
        (UserCount(5, 4, 1.0), 5, "no answer that arrived"),
        (UserCount(5, 5, 1.0), 4, "4 messages from a user's account received"),
        (UserCount(5, 5, 1.0), 0, "0 messages from a user's account received"),
    ],
)
def test_an_account_whose_messages_did_not_all_come_back_leaves_no_figure(
    gateways: Gateways, page: HealthPage, count: UserCount, moves: int, said: str
) -> None:
    reading = really(gateways, page, count, moves=moves)
    assert failed(reading) == {"did_the_work"}
    verdict = judge(reading, Budget(rss_kib=1 << 30))
    assert verdict.outcome is Outcome.NOT_MEASURED and said in verdict.reason and names_no_figure(verdict)


def test_what_telegram_refuses_the_account_ends_the_reading(gateways: Gateways, page: HealthPage) -> None:
    with pytest.raises(TelegramRefused, match="asks to wait"):
        really(gateways, page, TelegramRefused("Telegram asks to wait 3600 s", "Telegram"), moves=0)
