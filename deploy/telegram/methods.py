"""Knows the Bot API's methods: what each takes, gives and refuses, in Telegram's words. Connections are `bot_api.py`'s.

Source: core.telegram.org/bots/api ("Available methods", "Getting updates"), and for the wording of errors Telegram's
server (github.com/tdlib/telegram-bot-api, Client.cpp).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from time import monotonic
from typing import Any

from deploy.telegram.bell import Bell
from deploy.telegram.mailbox import TEXT_UNITS, JsonObject, Mailbox, Tls, utf16_units
from deploy.telegram.markup import MarkupFault, plain_text

LONGEST_POLL_S = 50
"""The longest that a getUpdates waits (LONG_POLL_MAX_TIMEOUT in Client.h)."""

CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_ACTIVE = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)

WEBHOOK_SET = "Conflict: terminated by setWebhook request"

Parameters = dict[str, Any]


class ApiError(Exception):
    """An error as Telegram gives it: `code` is the HTTP status as well."""

    def __init__(self, code: int, description: str, retry_after_s: int | None = None) -> None:
        super().__init__(description)
        self.code, self.description, self.retry_after_s = code, description, retry_after_s

    def body(self) -> JsonObject:
        """The JSON body."""
        body: JsonObject = {"ok": False, "error_code": self.code, "description": self.description}
        if self.retry_after_s is not None:
            body["parameters"] = {"retry_after": self.retry_after_s}
        return body


def _integer(given: Parameters, name: str, default: int, low: int, high: int) -> int:
    """That parameter as Telegram reads it: a number or its digits; anything else is the default; clamped."""
    try:
        value = int(given.get(name, default))
    except (TypeError, ValueError):
        value = default
    return min(max(value, low), high)


def _listed(given: Parameters, name: str) -> list[str] | None:
    """A list of strings, which a form sends as JSON; None where it is missing or none."""
    value = given.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return [str(item) for item in value] if isinstance(value, list) else None


def _true(value: object) -> bool:
    return value is True or str(value).lower() in ("true", "1", "yes", "t")


class Methods:
    """The methods of one bot, on one mailbox."""

    def __init__(self, bot_id: int, mailbox: Mailbox, bell: Bell) -> None:
        self.mailbox = mailbox
        self._bell = bell
        self._poll: asyncio.Future[None] | None = None
        self.bot: JsonObject = {
            "id": bot_id,
            "is_bot": True,
            "first_name": "Loopback",
            "username": "slimdeploy_loopback_bot",
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }
        self.webhook = ""
        self.commands: list[Any] = []
        self._table: dict[str, Callable[[Parameters, Tls], Any]] = {
            "getme": self._get_me,
            "sendmessage": self._send_message,
            "sendchataction": self._send_chat_action,
            "setmycommands": self._set_my_commands,
            "getmycommands": self._get_my_commands,
            "deletemycommands": self._delete_my_commands,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._get_webhook_info,
        }

    async def call(self, name: str, given: Parameters, tls: Tls, gone: asyncio.Future[None]) -> Any:
        """The result of method `name` (in any case of letters). Raises ApiError.

        `gone` is done once the caller has gone: then a long poll ends, and its updates stay for the next one.
        """
        if name.lower() == "getupdates":
            return await self._get_updates(given, gone)
        method = self._table.get(name.lower())
        if method is None:
            raise ApiError(404, "Not Found: method not found" if name else "Not Found")
        return method(given, tls)

    def _get_me(self, given: Parameters, tls: Tls) -> JsonObject:
        return self.bot

    async def _get_updates(self, given: Parameters, gone: asyncio.Future[None]) -> list[JsonObject]:
        if self.webhook:
            raise ApiError(409, WEBHOOK_ACTIVE)
        self._end_poll()
        offset = _integer(given, "offset", 0, -(1 << 31), (1 << 31) - 1)
        limit = _integer(given, "limit", 100, 1, 100)
        until = monotonic() + _integer(given, "timeout", 0, 0, LONGEST_POLL_S)
        if (allowed := _listed(given, "allowed_updates")) is not None:
            self.mailbox.allowed_updates = tuple(allowed)
        self.mailbox.confirm(offset)
        batch = self.mailbox.hand_out(limit)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poll = ended
        try:
            while not batch and (remaining := until - monotonic()) > 0:
                await self._bell.wait(remaining, ended, gone)
                if ended.done():
                    raise ApiError(409, WEBHOOK_SET if self.webhook else CONFLICT)
                if gone.done():
                    break
                batch = self.mailbox.hand_out(limit)
        finally:
            if self._poll is ended:
                self._poll = None
        return batch

    def _end_poll(self) -> None:
        """The newer request ends the one that waits, which gets a 409 (abort_long_poll in Client.cpp)."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def _chat_id(self, given: Parameters) -> int:
        value = given.get("chat_id", "")
        if value == "":
            raise ApiError(400, "Bad Request: chat_id is empty")
        try:
            chat_id = int(value)
        except (TypeError, ValueError):
            raise ApiError(400, "Bad Request: chat not found") from None
        if not self.mailbox.knows(chat_id):
            raise ApiError(400, "Bad Request: chat not found")
        return chat_id

    def _send_message(self, given: Parameters, tls: Tls) -> JsonObject:
        text = given.get("text", "")
        text = text if isinstance(text, str) else str(text)
        if not text:
            raise ApiError(400, "Bad Request: message text is empty")
        mode = str(given.get("parse_mode") or "").lower()
        if mode == "html":
            try:
                text = plain_text(text)
            except (MarkupFault, UnicodeEncodeError) as fault:
                raise ApiError(400, f"Bad Request: can't parse entities: {fault}") from None
        elif mode not in ("", "none", "markdown", "markdownv2"):
            raise ApiError(400, "Bad Request: unsupported parse_mode")
        # Telegram trims what is left after parsing, and so "<b> </b>" is empty as well.
        text = text.strip()
        if not text:
            raise ApiError(400, "Bad Request: message text is empty")
        if utf16_units(text) > TEXT_UNITS:
            raise ApiError(400, "Bad Request: message is too long")
        return self.mailbox.receive(self._chat_id(given), text, self._reply_to(given), tls, self.bot)

    def _reply_to(self, given: Parameters) -> int | None:
        """The message_id that it replies to: `reply_parameters`, or the older `reply_to_message_id`."""
        reply = given.get("reply_parameters")
        if isinstance(reply, str):
            try:
                reply = json.loads(reply)
            except ValueError:
                raise ApiError(400, "Bad Request: can't parse reply parameters JSON object") from None
        source = reply if isinstance(reply, dict) else {"message_id": given.get("reply_to_message_id", 0)}
        return _integer(source, "message_id", 0, 0, (1 << 31) - 1) or None

    def _send_chat_action(self, given: Parameters, tls: Tls) -> bool:
        self._chat_id(given)
        if not given.get("action"):
            raise ApiError(400, "Bad Request: wrong parameter action in request")
        return True

    def _set_my_commands(self, given: Parameters, tls: Tls) -> bool:
        commands = given.get("commands")
        if isinstance(commands, str):
            try:
                commands = json.loads(commands)
            except ValueError:
                commands = None
        if not isinstance(commands, list) or not all(isinstance(command, dict) for command in commands):
            raise ApiError(400, "Bad Request: can't parse BotCommand: expected an Array of BotCommand")
        if any(not command.get("command") or not command.get("description") for command in commands):
            raise ApiError(400, "Bad Request: BOT_COMMAND_INVALID")
        self.commands = commands
        return True

    def _get_my_commands(self, given: Parameters, tls: Tls) -> list[Any]:
        return self.commands

    def _delete_my_commands(self, given: Parameters, tls: Tls) -> bool:
        self.commands = []
        return True

    def _set_webhook(self, given: Parameters, tls: Tls) -> bool:
        url = str(given.get("url") or "")
        if url and not url.startswith("https://"):
            raise ApiError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        return self._change_webhook(url, given)

    def _delete_webhook(self, given: Parameters, tls: Tls) -> bool:
        return self._change_webhook("", given)

    def _change_webhook(self, url: str, given: Parameters) -> bool:
        self.webhook = url
        if url:
            self._end_poll()
        if _true(given.get("drop_pending_updates")):
            self.mailbox.forget_pending()
        return True

    def _get_webhook_info(self, given: Parameters, tls: Tls) -> JsonObject:
        pending = self.mailbox.counts().pending
        return {"url": self.webhook, "has_custom_certificate": False, "pending_update_count": pending}
