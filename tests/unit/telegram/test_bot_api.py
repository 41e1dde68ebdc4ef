"""The Bot API stand-in over real TLS: what a bot gets, what is counted, and the errors as Telegram gives them."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from bot import TinyBot

from deploy.model.secret import Secret
from deploy.telegram.bot_api import CONNECTIONS
from deploy.telegram.counts import Fault
from deploy.telegram.served import ServedBotApi

TOKEN = "123456789:" + "aB3_-" * 7
OTHER_TOKEN = "123456789:" + "zB3_-" * 7


@pytest.fixture
def served() -> Iterator[ServedBotApi]:
    with ServedBotApi(Secret(TOKEN.encode())) as running:
        yield running


@pytest.fixture
def bot(served: ServedBotApi) -> TinyBot:
    return TinyBot(served.base_url, served.ca_pem, TOKEN)


class Calling:
    """A call in a thread of its own, such as a long poll."""

    def __init__(self, bot: TinyBot, method: str, **parameters: Any) -> None:
        self.answer: tuple[int, dict[str, Any]] | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._call, args=(bot, method, parameters))
        self._thread.start()

    def _call(self, bot: TinyBot, method: str, parameters: dict[str, Any]) -> None:
        try:
            self.answer = bot.call(method, **parameters)
        except Exception as error:
            self.error = error

    def waits(self, seconds: float = 0.2) -> bool:
        self._thread.join(seconds)
        return self._thread.is_alive()

    def end(self) -> tuple[int, dict[str, Any]]:
        self._thread.join(20)
        assert self.answer is not None, self.error
        return self.answer


def raw(served: ServedBotApi, trust: bool = True) -> ssl.SSLSocket:
    """A connection without a client around it."""
    context = ssl.create_default_context(cadata=served.ca_pem.decode() if trust else None)
    return context.wrap_socket(
        socket.create_connection(("127.0.0.1", served.port), timeout=10), server_hostname="127.0.0.1"
    )


def test_get_me_is_a_bot_with_the_number_of_its_token(bot: TinyBot) -> None:
    me = bot.ask("getMe")
    assert (me["id"], me["is_bot"]) == (123456789, True) and me["username"].endswith("bot")


def test_a_message_is_handed_out_until_its_offset_is_confirmed(served: ServedBotApi, bot: TinyBot) -> None:
    users = served.user_side
    chat_id = users.new_chat()
    message_id = users.say(chat_id, "/start now")
    (update,) = bot.ask("getUpdates")
    message = update["message"]
    assert (message["message_id"], message["text"]) == (message_id, "/start now")
    assert message["chat"]["id"] == message["from"]["id"] == chat_id and message["from"]["is_bot"] is False
    assert message["entities"] == [{"offset": 0, "length": 6, "type": "bot_command"}]
    assert bot.ask("getUpdates") == [update], "not confirmed, and so handed out again"
    assert (users.counts().delivered, users.counts().pending) == (0, 1)
    assert bot.ask("getUpdates", offset=update["update_id"] + 1) == []
    assert (users.counts().delivered, users.counts().pending) == (1, 0)
    assert bot.ask("getUpdates") == []


def test_a_message_that_no_poll_got_is_not_delivered_by_an_offset(served: ServedBotApi, bot: TinyBot) -> None:
    served.user_side.say(served.user_side.new_chat(), "first")
    (update,) = bot.ask("getUpdates")
    served.user_side.say(served.user_side.new_chat(), "second")
    assert bot.ask("getUpdates", offset=update["update_id"] + 2) == []
    assert (served.user_side.counts().delivered, served.user_side.counts().pending) == (1, 0)


def test_updates_come_in_order_and_no_more_than_the_limit(served: ServedBotApi, bot: TinyBot) -> None:
    users = served.user_side
    for number in range(5):
        users.say(users.new_chat(), f"number {number}")
    first = bot.ask("getUpdates", limit=2)
    rest = bot.ask("getUpdates", offset=first[-1]["update_id"] + 1)
    assert [update["message"]["text"] for update in first + rest] == [f"number {number}" for number in range(5)]
    identifiers = [update["update_id"] for update in first + rest]
    assert identifiers == list(range(identifiers[0], identifiers[0] + 5))
    assert [update["update_id"] for update in bot.ask("getUpdates", offset=-1)] == identifiers[-1:]


def test_a_long_poll_waits_for_a_message(served: ServedBotApi, bot: TinyBot) -> None:
    poll = Calling(bot, "getUpdates", timeout=10)
    assert poll.waits()
    begun = time.monotonic()
    served.user_side.say(served.user_side.new_chat(), "at last")
    _, document = poll.end()
    assert [update["message"]["text"] for update in document["result"]] == ["at last"]
    assert time.monotonic() - begun < 2


def test_a_long_poll_without_a_message_ends_in_its_time(bot: TinyBot) -> None:
    begun = time.monotonic()
    assert bot.ask("getUpdates", timeout=1) == []
    assert 0.9 <= time.monotonic() - begun < 4


def test_of_two_long_polls_the_newer_one_goes_on(served: ServedBotApi, bot: TinyBot) -> None:
    older = Calling(bot, "getUpdates", timeout=10)
    assert older.waits()
    newer = Calling(bot, "getUpdates", timeout=10)
    status, document = older.end()
    assert (status, document["ok"], document["error_code"]) == (409, False, 409)
    assert document["description"].startswith("Conflict: terminated by other getUpdates request")
    served.user_side.say(served.user_side.new_chat(), "hello")
    status, document = newer.end()
    assert (status, len(document["result"])) == (200, 1)


def test_a_poll_whose_caller_has_gone_takes_no_message_with_it(served: ServedBotApi, bot: TinyBot) -> None:
    with raw(served) as connection:
        connection.sendall(f"GET /bot{TOKEN}/getUpdates?timeout=30 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(0.1)
    time.sleep(0.1)
    chat_id = served.user_side.new_chat()
    served.user_side.say(chat_id, "still here?")
    bot.ask("sendMessage", chat_id=chat_id, text="nobody has asked me")
    assert served.user_side.counts().answered == 0, "what went to nobody can't be answered"
    assert [update["message"]["text"] for update in bot.ask("getUpdates", timeout=5)] == ["still here?"]


def test_a_reply_counts_for_a_message_that_was_handed_out_in_that_chat_alone(
    served: ServedBotApi, bot: TinyBot
) -> None:
    users = served.user_side
    ada, jun = users.new_chat(), users.new_chat()
    question = users.say(ada, "a question")
    users.say(jun, "another")
    bot.ask("sendMessage", chat_id=ada, text="too early")
    assert (users.counts().answered, users.counts().extra) == (0, 1)
    bot.ask("getUpdates")
    sent = bot.ask("sendMessage", chat_id=ada, text="an answer")
    assert sent["chat"]["id"] == ada and sent["text"] == "an answer" and sent["from"]["is_bot"] is True
    bot.ask("sendMessage", chat_id=ada, text="and more")
    assert (users.counts().answered, users.counts().extra) == (1, 2)
    assert [(reply.text, reply.answers) for reply in users.replies(ada)] == [
        ("too early", None),
        ("an answer", question),
        ("and more", None),
    ]
    assert users.replies(jun) == ()
    assert bot.ask("getUpdates", offset=-1)[0]["message"]["text"] == "another", "the bot's own are no updates"


def test_a_burst_counts_messages_not_calls(served: ServedBotApi) -> None:
    with TinyBot(served.base_url, served.ca_pem, TOKEN, deaf=3):
        count = served.user_side.burst(10, deadline_s=2)
    assert (count.sent, count.delivered, count.answered, count.complete) == (10, 10, 7, False)
    with TinyBot(served.base_url, served.ca_pem, TOKEN):
        count = served.user_side.burst(10, deadline_s=10)
    assert count.complete and (count.tls_version, bool(count.tls_cipher)) == ("TLSv1.3", True)


@pytest.mark.parametrize("text", ["", "   ", "x" * 4097, "🙂" * 2049])
def test_a_text_that_telegram_refuses_is_refused(served: ServedBotApi, bot: TinyBot, text: str) -> None:
    chat_id = served.user_side.new_chat()
    served.user_side.say(chat_id, "hello")
    status, document = bot.call("sendMessage", chat_id=chat_id, text=text)
    assert (status, document["error_code"]) == (400, 400)
    assert served.user_side.replies(chat_id) == ()


def test_a_bot_does_not_write_first(served: ServedBotApi, bot: TinyBot) -> None:
    status, document = bot.call("sendMessage", chat_id=served.user_side.new_chat(), text="hello")
    assert (status, document["description"]) == (400, "Bad Request: chat not found")


@pytest.mark.parametrize("token", [OTHER_TOKEN, "nonsense", TOKEN + "x", TOKEN[:-1]])
def test_a_wrong_token_is_unauthorized(served: ServedBotApi, token: str) -> None:
    stranger = TinyBot(served.base_url, served.ca_pem, token)
    for method in ("getMe", "getUpdates", "sendMessage"):
        status, document = stranger.call(method)
        assert (status, document["ok"], document["error_code"]) == (401, False, 401)
        assert document["description"].startswith("Unauthorized")


def test_too_many_requests_say_when_to_come_back(served: ServedBotApi, bot: TinyBot) -> None:
    served.user_side.schedule(Fault("status", "getMe", calls=2, status=429, retry_after_s=3))
    for _ in range(2):
        status, document = bot.call("getMe")
        assert (status, document["error_code"], document["parameters"]) == (429, 429, {"retry_after": 3})
        assert document["description"] == "Too Many Requests: retry after 3"
    assert bot.call("getMe")[0] == 200


def test_a_fault_is_for_its_method_and_can_be_taken_back(served: ServedBotApi, bot: TinyBot) -> None:
    served.user_side.schedule(Fault("status", "sendMessage", status=502))
    assert bot.call("getMe")[0] == 200
    served.user_side.clear_faults()
    chat_id = served.user_side.new_chat()
    served.user_side.say(chat_id, "hello")
    assert bot.call("sendMessage", chat_id=chat_id, text="x")[0] == 200


def test_a_dropped_connection_has_had_its_effect(served: ServedBotApi, bot: TinyBot) -> None:
    chat_id = served.user_side.new_chat()
    served.user_side.say(chat_id, "hello")
    bot.ask("getUpdates")
    served.user_side.schedule(Fault("drop", "sendMessage"))
    with pytest.raises((OSError, http.client.HTTPException)) as dropped:
        bot.call("sendMessage", chat_id=chat_id, text="lost on the way back")
    assert not isinstance(dropped.value, urllib.error.HTTPError)
    assert [reply.text for reply in served.user_side.replies(chat_id, wait_s=2)] == ["lost on the way back"]
    assert bot.call("getMe")[0] == 200


def test_a_slow_answer_comes_late(served: ServedBotApi, bot: TinyBot) -> None:
    served.user_side.schedule(Fault("slow", "getMe", delay_s=0.4))
    begun = time.monotonic()
    assert bot.call("getMe")[0] == 200
    assert time.monotonic() - begun >= 0.4


def test_commands_are_kept(bot: TinyBot) -> None:
    commands = [{"command": "help", "description": "what I can do"}]
    assert bot.ask("setMyCommands", commands=commands) is True
    assert bot.ask("getMyCommands") == commands
    assert bot.call("setMyCommands", commands=[{"command": ""}])[0] == 400


def test_a_webhook_stands_in_the_way_until_it_is_deleted(served: ServedBotApi, bot: TinyBot) -> None:
    poll = Calling(bot, "getUpdates", timeout=10)
    assert poll.waits()
    assert bot.ask("setWebhook", url="https://example.org/hook") is True
    assert poll.end()[0] == 409
    status, document = bot.call("getUpdates")
    assert status == 409 and "webhook is active" in document["description"]
    served.user_side.say(served.user_side.new_chat(), "dropped")
    assert bot.ask("deleteWebhook", drop_pending_updates=True) is True
    assert bot.ask("getUpdates") == []
    assert bot.ask("deleteWebhook") is True


def test_a_chat_action_needs_a_chat_and_counts_for_nothing(served: ServedBotApi, bot: TinyBot) -> None:
    chat_id = served.user_side.new_chat()
    served.user_side.say(chat_id, "hello")
    bot.ask("getUpdates")
    assert bot.ask("sendChatAction", chat_id=chat_id, action="typing") is True
    assert bot.call("sendChatAction", chat_id=chat_id + 1, action="typing")[0] == 400
    assert served.user_side.counts().answered == 0 and served.user_side.replies(chat_id) == ()


def test_names_of_methods_may_be_written_in_any_case_and_unknown_ones_are_not_found(bot: TinyBot) -> None:
    assert bot.call("GETME")[0] == 200
    status, document = bot.call("getCoffee")
    assert (status, document["description"]) == (404, "Not Found: method not found")


def test_one_connection_serves_many_calls_in_each_form_of_parameters(served: ServedBotApi) -> None:
    chat_id = served.user_side.new_chat()
    served.user_side.say(chat_id, "hello")
    trust = ssl.create_default_context(cadata=served.ca_pem.decode())
    connection = http.client.HTTPSConnection("127.0.0.1", served.port, timeout=10, context=trust)
    try:
        connection.connect()
        one = connection.sock
        for body, kind in (
            (json.dumps({"chat_id": chat_id, "text": "é"}), "application/json"),
            (f"chat_id={chat_id}&text=%C3%A9", "application/x-www-form-urlencoded"),
        ):
            connection.request("POST", f"/bot{TOKEN}/sendMessage", body, {"Content-Type": kind})
            answer = connection.getresponse()
            assert json.load(answer)["result"]["text"] == "é"
        connection.request("GET", f"/bot{TOKEN}/sendMessage?chat_id={chat_id}&text=%C3%A9")
        assert json.load(connection.getresponse())["result"]["text"] == "é"
        connection.request(
            "POST",
            f"/bot{TOKEN}/sendMessage",
            iter([f'{{"chat_id": {chat_id}, '.encode(), b'"text": "chunked"}']),
            {"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
            encode_chunked=True,
        )
        assert json.load(connection.getresponse())["result"]["text"] == "chunked"
        assert connection.sock is one
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
)
def test_a_malformed_request_gets_a_status_and_harms_nobody(
    served: ServedBotApi, bot: TinyBot, request_bytes: bytes, status: int
) -> None:
    with raw(served) as connection:
        connection.sendall(request_bytes)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, json.load(answer)["ok"]) == (status, False)
    assert bot.call("getMe")[0] == 200


def test_a_client_that_does_not_know_the_authority_refuses(served: ServedBotApi) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        raw(served, trust=False)


def test_plain_http_and_silence_harm_nobody(served: ServedBotApi, bot: TinyBot) -> None:
    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as plain,
        socket.create_connection(("127.0.0.1", served.port), timeout=10),
    ):
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert bot.call("getMe")[0] == 200


def test_more_connections_than_it_serves_are_closed_as_they_come(served: ServedBotApi, bot: TinyBot) -> None:
    held = []
    try:
        for _ in range(CONNECTIONS):
            held.append(raw(served))
        with pytest.raises((OSError, http.client.HTTPException)):
            bot.call("getMe")
    finally:
        for connection in held:
            connection.close()
    until = time.monotonic() + 10
    while True:
        try:
            assert bot.call("getMe")[0] == 200
            break
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < until
            time.sleep(0.05)


def test_it_is_gone_after_its_block() -> None:
    with ServedBotApi(Secret(TOKEN.encode())) as served:
        port = served.port
        poll = Calling(TinyBot(served.base_url, served.ca_pem, TOKEN), "getUpdates", timeout=30)
        assert poll.waits()
    assert not poll.waits(5), "a long poll does not outlive it"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
