"""Who is asked on a terminal: nobody where there is none, also where standard input was closed."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from program import Slimdeploy

from deploy.cli import chat, provision, reaching
from deploy.cli.fleet import discover
from deploy.cli.fleet.reviewing import Review, Shown
from deploy.cli.fleet.seating import Seat
from deploy.cli.terminals import show_what_can_be_shown, somebody_types
from deploy.errors import HostKeyUnknown, UsageError
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.telegram.counts import Reply


class Users:
    """The users' side of a bot that answers everything; it takes what Telegram takes."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def new_chat(self) -> int:
        return 7

    def say(self, chat_id: int, text: str) -> int:
        if len(text) > 4096:
            raise ValueError("a message has 1 to 4096 characters that are not all white space")
        self.said.append(text)
        return len(self.said) * 2

    def replies(self, chat_id: int, after: int = 0, wait_s: float = 0.0) -> tuple[Reply, ...]:
        last = len(self.said) * 2
        if last <= after:
            return ()
        return (Reply(chat_id, last + 1, f"you said {self.said[-1]}", last),)


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> Users:
    its = Users()
    place = SimpleNamespace(kept=SimpleNamespace(user_side=lambda: its), flags="--board local")
    monkeypatch.setattr(reaching, "choose", lambda *_, **__: place)
    return its


def ended(**flags: Any) -> int:
    try:
        chat.chat.body(Context(), **flags)
    except Exit as stopped:
        return int(stopped.code)
    return 0


def test_a_line_that_is_too_long_is_said_to_and_the_chat_goes_on(
    users: Users, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"first\n{'x' * 4097}\nlast\n"))
    assert ended() == 2
    said = capsys.readouterr()
    assert "you said first" in said.out and "you said last" in said.out and users.said == ["first", "last"]
    assert "this message was not sent: a message has 1 to 4096 characters" in said.err and "Trace" not in said.err
    assert ended(text="x" * 4097) == 2 and ended(text="short") == 0


def test_a_chat_without_standard_input_is_at_its_end(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert ended() == 0 and users.said == []
    assert ended(text="hello") == 0 and users.said == ["hello"]


def test_a_closed_standard_input_is_nobody_who_could_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert not somebody_types()
    with pytest.raises(UsageError, match="nothing was changed: there is nobody to ask"):
        provision.confirm(1, yes=False, as_json=False)
    assert provision.ask_password("", "root@board") is None
    with pytest.raises(UsageError, match="nobody was contacted"):
        discover._confirm("Ask them?", yes=False, as_json=False)
    seat = Seat(Member("board", Host("board")), ())
    key = Shown(HostKeyUnknown("board", "ssh-ed25519", "SHA256:x"), [seat])
    Review(None, accept_new=False, may_ask=True, shown=[])._decide([key])
    assert not key.trusted


def test_what_the_terminal_can_not_show_is_shown_as_a_question_mark(slimdeploy: Slimdeploy) -> None:
    helped = slimdeploy("memory", "--help", env={"PYTHONIOENCODING": "ascii"})
    assert helped.code == 0 and "--memory-limit ?)" in helped.out and not helped.err


def test_only_a_stream_that_would_fail_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = io.TextIOWrapper(io.BytesIO(), "ascii")
    chosen = io.TextIOWrapper(io.BytesIO(), "ascii", errors="xmlcharrefreplace")
    for out, err in ((strict, chosen), (None, io.StringIO())):
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        show_what_can_be_shown()
    assert (strict.errors, chosen.errors) == ("replace", "xmlcharrefreplace")
