"""Messages from a user's own account: the flow against a client of the test's own, the session file as it really is.

Telegram itself can't be reached from a test: what stands in for Telethon's client has its methods and raises its
errors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.errors import MachineFault, TelegramRefused, UsageError
from deploy.model.secret import Secret
from deploy.telegram.user_account import Credentials, UserCount, converse, log_in, prepare_session, telethon_client

telethon = pytest.importorskip("telethon", reason="Telethon is not installed: pip install 'slimdeploy[telegram]'")

CREDENTIALS = Credentials(12345, Secret(b"0123456789abcdef" * 2))


@dataclass
class Account:
    """A Telegram with one user and one bot, silent without `answers`; `trouble` is raised by the next sends."""

    authorized: bool = True
    is_bot: bool = False
    password: str = ""
    answers: bool = True
    trouble: list[Exception] = field(default_factory=list)
    connect_error: Exception | None = None
    chat: list[Any] = field(default_factory=list)
    signed: list[dict[str, str]] = field(default_factory=list)
    open: int = 0

    def make(self, session: Path, credentials: Credentials) -> Account:
        assert stat.S_IMODE(session.stat().st_mode) == 0o600
        return self

    async def connect(self) -> None:
        if self.connect_error:
            raise self.connect_error
        self.open += 1

    async def disconnect(self) -> None:
        self.open = 0

    async def is_user_authorized(self) -> bool:
        return self.authorized

    async def send_code_request(self, phone: str) -> None:
        self.signed.append({"phone": phone})

    async def sign_in(self, **words: str) -> None:
        self.signed.append(words)
        if words.get("code") == "0":
            raise telethon.errors.PhoneCodeInvalidError(request="auth.signIn(code=0)")
        if self.password and "password" not in words:
            raise telethon.errors.SessionPasswordNeededError(request=None)
        self.authorized = True

    async def get_me(self) -> Any:
        return SimpleNamespace(bot=self.is_bot, username="someone", first_name="S", id=1)

    async def get_entity(self, name: str) -> Any:
        if name == "nobody_bot":
            raise ValueError('No user has "nobody_bot" as username')
        return SimpleNamespace(bot=name != "person_bot")

    async def send_message(self, who: Any, text: str, parse_mode: object) -> Any:
        if self.trouble:
            raise self.trouble.pop(0)
        message = SimpleNamespace(id=len(self.chat) + 1, out=True, text=text)
        self.chat.append(message)
        if self.answers:
            self.chat.append(SimpleNamespace(id=len(self.chat) + 1, out=False, text=f"you said {text}"))
        return message

    async def iter_messages(self, who: Any, min_id: int, limit: int) -> AsyncIterator[Any]:
        for message in self.chat:
            if message.id > min_id:
                yield message


def talk(account: Account, folder: Path, *texts: str, bot: str = "my_bot", deadline_s: float = 5.0) -> UserCount:
    prepare_session(folder / "user.session")
    how = {"rate_hz": 1000.0, "deadline_s": deadline_s, "make": account.make}
    return converse(folder / "user.session", CREDENTIALS, bot, texts or ("one", "two"), **how)  # type: ignore[arg-type]


def test_each_message_waits_for_the_answer_to_the_one_before(tmp_path: Path) -> None:
    account = Account()
    count = talk(account, tmp_path, "one", "two", "three")
    assert (count.sent, count.answered) == (3, 3)
    assert [each.text for each in account.chat] == [
        "one",
        "you said one",
        "two",
        "you said two",
        "three",
        "you said three",
    ]
    assert account.open == 0


def test_a_bot_that_says_nothing_is_counted_so_and_gets_no_more(tmp_path: Path) -> None:
    account = Account(answers=False)
    count = talk(account, tmp_path, deadline_s=0.5)
    assert (count.sent, count.answered) == (1, 0)


def test_an_answer_of_before_is_not_taken_for_one(tmp_path: Path) -> None:
    account = Account(answers=False)
    account.chat.append(SimpleNamespace(id=1, out=False, text="an old one"))
    assert talk(account, tmp_path, deadline_s=0.5).answered == 0


def test_a_pause_that_telegram_asks_for_is_made_where_there_is_time_and_refused_where_not(tmp_path: Path) -> None:
    def wait(seconds: int) -> Exception:
        return telethon.errors.FloodWaitError(request=None, capture=seconds)

    assert talk(Account(trouble=[wait(0)]), tmp_path).sent == 2
    with pytest.raises(TelegramRefused, match="wait 3600 s, longer than --deadline"):
        talk(Account(trouble=[wait(3600)]), tmp_path)


@pytest.mark.parametrize(("bot", "why"), [("nobody_bot", "knows no nobody_bot"), ("person_bot", "is no bot")])
def test_a_name_that_is_no_bots_is_wrong_usage(tmp_path: Path, bot: str, why: str) -> None:
    account = Account()
    with pytest.raises(UsageError, match=why):
        talk(account, tmp_path, bot=bot)
    assert account.chat == [] and account.open == 0


def test_what_telegram_refuses_is_said_without_what_was_typed(tmp_path: Path) -> None:
    account = Account(trouble=[telethon.errors.UserIsBlockedError(request="SendMessage(text='secret words')")])
    with pytest.raises(TelegramRefused, match="Telegram refuses: ") as refused:
        talk(account, tmp_path)
    assert "secret words" not in refused.value.problem and refused.value.exit_code == 4
    with pytest.raises(TelegramRefused, match="out of reach"):
        talk(Account(connect_error=ConnectionError("Connection to Telegram failed 5 time(s)")), tmp_path)


def test_logging_in_asks_for_what_it_needs_once_and_shows_no_secret(tmp_path: Path) -> None:
    account, asked = Account(authorized=False, password="hunter2"), []
    typed = iter(["+41791234567 ", "12345", "hunter2"])

    def ask(question: str, hidden: bool) -> str:
        asked.append(hidden)
        return next(typed)

    session = tmp_path / "new folder" / "user.session"
    assert log_in(session, CREDENTIALS, ask, account.make) == "@someone"
    assert asked == [False, True, True]
    assert account.signed[-1] == {"password": "hunter2"} and account.signed[0] == {"phone": "+41791234567"}
    assert log_in(session, CREDENTIALS, None, account.make) == "@someone", "the second time nobody is asked"
    assert stat.S_IMODE(session.parent.stat().st_mode) == 0o700


def test_nobody_to_ask_a_wrong_code_and_a_bots_account(tmp_path: Path) -> None:
    session = tmp_path / "user.session"
    with pytest.raises(UsageError, match="once at a terminal"):
        log_in(session, CREDENTIALS, None, Account(authorized=False).make)
    with pytest.raises(TelegramRefused, match="code") as refused:
        log_in(session, CREDENTIALS, lambda question, hidden: "0", Account(authorized=False).make)
    assert "code=0" not in refused.value.problem
    with pytest.raises(UsageError, match="a bot's"):
        log_in(session, CREDENTIALS, None, Account(is_bot=True).make)


def test_the_session_file_is_its_owners_alone_from_the_first_byte_on(tmp_path: Path) -> None:
    session = tmp_path / "user.session"
    before = os.umask(0)
    try:
        prepare_session(session)
        # Telethon's own session, which is SQLite: what it writes stays as private as the file was made.
        client = telethon.sessions.SQLiteSession(str(session))
        client.set_dc(2, "149.154.167.51", 443)
        client.save()
        for path in tmp_path.glob("user.session*"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        client.close()
    finally:
        os.umask(before)
    assert session.stat().st_size > 0 and stat.S_IMODE(session.stat().st_mode) == 0o600


def test_a_session_that_others_can_read_or_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    session = tmp_path / "user.session"
    session.touch()
    session.chmod(0o640)
    with pytest.raises(UsageError, match="others can read it"):
        prepare_session(session)
    link = tmp_path / "link.session"
    link.symlink_to(session)
    with pytest.raises(MachineFault, match="can't be had"):
        prepare_session(link)


def test_telethons_own_client_takes_what_it_is_given(tmp_path: Path) -> None:
    session = tmp_path / "user.session"
    prepare_session(session)

    async def made() -> None:
        client = telethon_client(session, CREDENTIALS)
        for name in ("connect", "disconnect", "is_user_authorized", "send_code_request", "sign_in", "get_me"):
            assert callable(getattr(client, name))
        assert all(callable(getattr(client, name)) for name in ("get_entity", "send_message", "iter_messages"))
        assert client.flood_sleep_threshold == 0
        client.session.close()

    import asyncio

    asyncio.run(made())
    assert stat.S_IMODE(session.stat().st_mode) == 0o600
