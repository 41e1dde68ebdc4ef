"""The flags for a user's own Telegram account: wrong ones touch nothing, and no secret of theirs is ever repeated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from program import Slimdeploy

from deploy.cli import as_user
from deploy.cli.as_user import AsUser
from deploy.errors import UsageError
from deploy.telegram.user_account import Credentials, UserCount

HASH = "0123456789abcdef" * 2


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Who would log in and write; what it was asked for."""
    asked: list[object] = []

    def log_in(session: Path, credentials: Credentials, ask: object) -> str:
        asked.extend((session, credentials.api_id, credentials.api_hash.reveal(), ask))
        return "@someone"

    def converse(session: Path, credentials: Credentials, bot: str, texts: list[str], **how: float) -> UserCount:
        asked.extend((bot, texts, how))
        return UserCount(len(texts), len(texts), 1.0)

    monkeypatch.setattr(as_user, "log_in", log_in)
    monkeypatch.setattr(as_user, "converse", converse)
    return asked


def flags(**changes: object) -> AsUser:
    return AsUser(
        **({"bot": "@My_board_bot", "api_file": "", "session": "", "kinds": "short", "rate_hz": 0.0} | changes)
    )  # type: ignore[arg-type]


def test_id_and_hash_come_from_the_environment_or_a_private_file_and_the_session_has_its_place(
    account: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TELEGRAM_API_ID", "12345")
    monkeypatch.setenv("TELEGRAM_API_HASH", HASH.upper())
    said: list[str] = []
    send = flags(kinds="all", rate_hz=0.5).sender(8, 60, said.append)
    session = Path(os.environ["SLIMDEPLOY_HOME"]) / "data" / "telegram" / "user.session"
    assert account == [session, 12345, HASH.encode(), None]
    assert send().sent == 8
    bot, texts, how = account[4:]
    assert bot == "My_board_bot" and how == {"rate_hz": 0.5, "deadline_s": 60}
    assert len(set(texts)) == 8 and max(len(text) for text in texts) == 4096  # type: ignore[call-overload]
    assert HASH not in said[0].lower() and "@someone" in said[0]

    account.clear()
    file = tmp_path / "api"
    file.write_text(f"777\n{HASH}\n")
    file.chmod(0o600)
    flags(api_file=str(file), session=str(tmp_path / "mine")).sender(1, 60, said.append)
    assert account[:2] == [tmp_path / "mine.session", 777]


@pytest.mark.parametrize(
    ("changes", "text", "mode", "why"),
    [
        ({"bot": "me"}, None, 0, "ends in bot"),
        ({"bot": ""}, None, 0, "ends in bot"),
        ({"kinds": "caption"}, None, 0, "not 'caption'"),
        ({}, None, 0, "my.telegram.org"),
        ({}, f"12345 {HASH}", 0o644, "chmod 600"),
        ({}, f"{HASH} 12345", 0o600, "that is not an api_id"),
        ({}, f"12345 {HASH[:-1]}g", 0o600, "that is not an api_id"),
        ({}, "", 0o600, "my.telegram.org"),
    ],
)
def test_wrong_flags_are_said_and_no_secret_with_them(
    account: list[object], tmp_path: Path, changes: dict[str, object], text: str | None, mode: int, why: str
) -> None:
    if text is not None:
        file = tmp_path / "api"
        file.write_text(text)
        file.chmod(mode)
        changes = changes | {"api_file": str(file)}
    with pytest.raises(UsageError, match=why) as refused:
        flags(**changes).sender(5, 60, lambda said: None)
    assert HASH[:12] not in refused.value.problem and account == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--as-user", "--bot", "a_bot"), "say --real too"),
        (("--real", "--bot", "a_bot"), "are for --as-user"),
        (("--real", "--rate", "2"), "goes without --rate and --kinds, or with --as-user"),
        (("--real", "--as-user", "--in-place"), "goes without --in-place"),
    ],
)
def test_flags_that_do_not_go_together_are_wrong_usage(slimdeploy: Slimdeploy, more: tuple[str, ...], why: str) -> None:
    ended = slimdeploy("memory.live", "--board", "licheerv", "--host", "root@127.0.0.1:1", *more)
    assert ended.code == 2 and why in " ".join(ended.err.split()), ended.err
