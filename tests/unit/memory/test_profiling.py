"""A heap profile through the forwarded port: whole, of the right process, or said not to be."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from deploy.errors import BadAnswer, ForwardRefused
from deploy.memory.live import Load
from deploy.memory.profiling import has_profiler, heap, heap_under_load
from deploy.model.layout import Layout
from deploy.telegram.counts import BurstCount
from deploy.transport.scripted import ScriptedTransport

LAYOUT = Layout("/opt/picoclaw")
PROFILE = gzip.compress(b"a profile" * 100, mtime=0)
COUNT = BurstCount(5, 5, 5, "TLSv1.3", "a cipher", 0.1)


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.0 " + status + b"\r\nContent-Type: application/octet-stream\r\n\r\n" + body


class Users:
    """Who send what they are asked for, and remember it."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.asked: list[tuple[int, dict[str, Any]]] = []
        self.problem = problem

    def burst(self, messages: int, **how: Any) -> BurstCount:
        self.asked.append((messages, how))
        if self.problem:
            raise self.problem
        return COUNT


def test_the_gateways_own_profiler_is_told_by_its_command_line() -> None:
    own = b"/opt/picoclaw/current/picoclaw\0gateway\0--config\0/opt/picoclaw/config.json"
    for body, is_it in ((own, True), (b"/usr/bin/other\0gateway", False), (b"", False)):
        assert has_profiler(ScriptedTransport({}, requests=[answer(body)]), LAYOUT, 6060) is is_it
    assert not has_profiler(ScriptedTransport({}), LAYOUT, 6060)
    assert not has_profiler(ScriptedTransport({}, requests=[answer(b"", b"404 Not Found")]), LAYOUT, 6060)
    assert not has_profiler(ScriptedTransport({}, requests=[b"SSH-2.0-dropbear\r\n"]), LAYOUT, 6060)


def test_what_is_in_use_is_asked_after_a_collection_and_a_time_span_as_such() -> None:
    board = ScriptedTransport({}, requests=[answer(PROFILE), answer(PROFILE)])
    assert heap(board, 6061, 0) == heap(board, 6061, 7) == PROFILE
    asked = [data.split(b" ")[1] for _, data in board.requested]
    assert asked == [b"/debug/pprof/heap?gc=1", b"/debug/pprof/heap?seconds=7"]
    assert all(data.split(b"\r\n")[0].endswith(b"HTTP/1.0") for _, data in board.requested)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(PROFILE[:-9]), "in part only"),
        (answer(PROFILE[:20]), "in part only"),
        (answer(b"heap profile: 1: 2"), "something else"),
        (answer(b"no such profile", b"404 Not Found"), "answers 404"),
        (b"", "does not speak HTTP"),
    ],
    ids=["without its checksum", "half", "as text", "none", "nothing"],
)
def test_what_is_no_whole_profile_is_not_kept(said: bytes, why: str) -> None:
    with pytest.raises(BadAnswer, match=why):
        heap(ScriptedTransport({}, requests=[said]), 6060, 0)


def test_messages_come_before_a_snapshot_and_beside_a_time_span() -> None:
    for seconds in (0, 1):
        users = Users()
        board = ScriptedTransport({}, requests=[answer(PROFILE)])
        taken = heap_under_load(board, users, 6060, Load(5), seconds, lambda done, of: None)  # type: ignore[arg-type]
        assert (taken.data, taken.count, users.asked[0][0]) == (PROFILE, COUNT, 5)


def test_what_goes_wrong_with_the_messages_is_not_lost_in_a_thread() -> None:
    users = Users(ForwardRefused("the stand-in has gone", "root@board"))
    board = ScriptedTransport({}, requests=[answer(PROFILE)])
    with pytest.raises(ForwardRefused, match="has gone"):
        heap_under_load(board, users, 6060, Load(5), 1, lambda done, of: None)  # type: ignore[arg-type]
