"""The one fake keeps to the face of a transport, and lets no script pass that a test did not expect."""

from __future__ import annotations

import pytest

from deploy.errors import CommandFailed, ConnectionLost, ForwardRefused
from deploy.transport.protocol import Completed, Script, Transport
from deploy.transport.scripted import ScriptedTransport

FAILED = Completed(1, b"", b"no", 0.0)


def test_answers_go_by_title_a_list_in_order_and_what_was_asked_is_kept() -> None:
    fake = ScriptedTransport({"look": [b"one", FAILED], "echo": lambda script: script.text.encode()})
    transport: Transport = fake
    assert transport.run(Script("look", "ls")).stdout == b"one"
    assert transport.run(Script("echo", "said")).stdout == b"said"
    assert transport.run(Script("look", "ls")) == FAILED
    assert fake.titles == ["look", "echo", "look"]
    assert transport.round_trips == 3
    assert transport.host == "root@board"


def test_a_script_that_nobody_expected_or_once_too_often_fails_the_test() -> None:
    fake = ScriptedTransport({"look": [b"one"]})
    with pytest.raises(AssertionError, match="wipe"):
        fake.run(Script("wipe", "rm -rf /"))
    fake.run(Script("look", "ls"))
    with pytest.raises(AssertionError, match="look"):
        fake.run(Script("look", "ls"))


def test_errors_are_raised_and_a_closed_one_is_lost() -> None:
    fake = ScriptedTransport({"break": CommandFailed("it broke", "root@board")})
    with pytest.raises(CommandFailed):
        fake.run(Script("break", "false"))
    fake.close()
    fake.close()
    with pytest.raises(ConnectionLost):
        fake.run(Script("break", "false"))


def test_requests_are_answered_in_order_and_then_nothing_listens() -> None:
    fake = ScriptedTransport({}, requests=[b"200"])
    assert fake.request(80, b"GET") == b"200"
    with pytest.raises(ForwardRefused) as refused:
        fake.request(80, b"GET")
    assert not refused.value.prohibited
    assert fake.requested == [(80, b"GET")] * 2
    with fake.lead_back(4000) as port:
        assert port == 4000
