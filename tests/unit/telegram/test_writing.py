"""What users write: every kind is something that Telegram would carry, at a pace, each counted once. A real TLS bot."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from bot import TinyBot

from deploy.cli.options import kinds, rate_hz
from deploy.errors import UsageError
from deploy.memory.second_instance import make_token
from deploy.telegram.mailbox import Mailbox, utf16_units
from deploy.telegram.served import ServedBotApi
from deploy.telegram.writing import KINDS, MOST_CAPTION_UNITS, Written, written


@pytest.fixture
def api() -> Iterator[ServedBotApi]:
    with ServedBotApi(make_token()) as served:
        yield served


def bot_of(api: ServedBotApi) -> TinyBot:
    return TinyBot(api.base_url, api.ca_pem, api._bot_api._token.reveal().decode())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_fits_into_a_message_and_no_text_occurs_twice(kind: str) -> None:
    texts = written((kind,), 120, "some_bot")
    assert len({what.text for what in texts}) == 120
    most = MOST_CAPTION_UNITS if kind == "caption" else 4096
    assert all(0 < utf16_units(what.text) <= most for what in texts)
    if kind == "long":
        assert {utf16_units(what.text) for what in texts} == {4096}


def test_kinds_come_by_turns() -> None:
    turns = written(("short", "group", "caption"), 7, "some_bot")
    assert [what.in_group for what in turns] == [False, True, False] * 2 + [False]
    assert [what.is_caption for what in turns] == [False, False, True] * 2 + [False]
    with pytest.raises(ValueError, match="'poem' is no kind"):
        written(("poem",), 1, "some_bot")


def test_a_photo_comes_with_its_caption_and_a_group_has_a_negative_id(api: ServedBotApi) -> None:
    api._ask("begin_burst", {"messages": 2, "chats": None, "kinds": ["caption", "group"], "rate_hz": 0}, 5)
    photo, group = (update["message"] for update in bot_of(api).ask("getUpdates", timeout=1))
    assert "text" not in photo and photo["caption"] and photo["photo"][0]["file_id"]
    assert group["chat"]["type"] == "supergroup" and group["chat"]["id"] < 0 < group["from"]["id"]
    assert group["text"].startswith("@slimdeploy_loopback_bot ")


def test_an_edit_reaches_only_a_bot_that_asks_for_edits() -> None:
    for asked, seen in ((("message",), ["message"]), (("message", "edited_message"), ["message", "edited_message"])):
        mailbox = Mailbox(lambda: None)
        mailbox.allowed_updates = asked
        mailbox.write(mailbox.begin_burst(1), mailbox.new_chat(), Written("hello", is_edited=True))
        assert [key for update in mailbox.hand_out(9) for key in update if key != "update_id"] == seen
        assert mailbox.counts().injected == 1


def test_messages_come_at_the_rate_that_was_asked_for_and_all_are_waited_for(api: ServedBotApi) -> None:
    with bot_of(api):
        began = time.monotonic()
        count = api.user_side.burst(10, rate_hz=10, deadline_s=20)
        seconds = time.monotonic() - began
    assert count.complete and count.sent == 10
    assert seconds >= 0.85, "the tenth comes 0.9 s after the first"
    assert count.seconds <= seconds


def test_flags_name_kinds_and_a_rate() -> None:
    assert kinds("all") == KINDS and kinds("long, emoji") == ("long", "emoji")
    assert (rate_hz(""), rate_hz("2.5")) == (0.0, 2.5)
    for wrong in ("", "poem", "short,poem"):
        with pytest.raises(UsageError, match="--kinds takes"):
            kinds(wrong)
    for wrong in ("0", "-1", "1e3", "1001", "fast"):
        with pytest.raises(UsageError, match="--rate takes"):
            rate_hz(wrong)
