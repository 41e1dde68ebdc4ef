"""Knows what users wrote to the bot and what the bot wrote to them, and counts it. No network, no tasks, no clock.

A message of the bot is never an update for the bot: only what `inject` makes is delivered (MEASURING, trap 3).
The objects have the fields of core.telegram.org/bots/api: Update, Message, User, Chat, MessageEntity.
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from deploy.telegram.counts import BurstCount, Counts, Reply
from deploy.telegram.writing import MOST_CAPTION_UNITS, Written, content_of

TEXT_UNITS = 4096
"""The longest text of a message, in UTF-16 code units after parsing (sendMessage, "1-4096 characters")."""

_PENDING = 20_000
_REPLIES = 5_000
_BURSTS = 200
_UNANSWERED_A_CHAT = 1_000
_CHATS = 100_000

_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}(?:@[A-Za-z0-9_]{1,32})?(?=\s|$)")
_NAMES = ("Ada", "Jun", "Zoë", "Mara", "Ilir", "Noor", "Paweł", "Tomás")

JsonObject = dict[str, Any]
Tls = tuple[str, str]
"""Protocol and cipher suite of one connection."""


def utf16_units(text: str) -> int:
    """How long `text` is by Telegram's measure."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _share(ordered: list[float], share: float) -> float:
    """What that share of the figures does not exceed; 0 for none."""
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 6) if ordered else 0.0


@dataclass(slots=True)
class _Message:
    chat_id: int
    message_id: int
    update_id: int
    update: JsonObject
    burst: _Burst | None
    handed_out: bool = False
    written_s: float = 0.0


@dataclass(slots=True)
class _Burst:
    begun: float
    total: int
    sent: int = 0
    delivered: int = 0
    answered: int = 0
    last_reply: float = 0.0
    tls: set[Tls] = field(default_factory=set)
    waits_s: list[float] = field(default_factory=list)
    """From each message to its reply, in seconds."""


class Mailbox:
    """One bot's chats. Not thread-safe: all calls come from one event loop. `changed` is called after every change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._next_update = 100_000_000 + secrets.randbelow(800_000_000)
        self._next_message = 1 + secrets.randbelow(1000)
        # Newer accounts have ids above 2^32, which a 32-bit board must take (User.id: "at most 52 significant bits").
        self._next_chat = 7_000_000_000 + secrets.randbelow(900_000_000)
        self._pending: deque[_Message] = deque()
        self._unanswered: dict[int, deque[_Message]] = {}
        self._chats: dict[int, JsonObject] = {}
        self._replies: deque[Reply] = deque(maxlen=_REPLIES)
        self._bursts: dict[int, _Burst] = {}
        self._last_burst = 0
        self._injected = self._delivered = self._answered = self._extra = 0
        self.allowed_updates: tuple[str, ...] = ()
        """What the last getUpdates asked for; it holds until another asks differently."""

    # The user's side.

    def new_chat(self) -> int:
        """A chat id that was never used here."""
        self._next_chat += 1
        return self._next_chat

    def inject(self, chat_id: int, text: str) -> int:
        """A user writes `text`; the message's id. Raises ValueError where a user couldn't send that."""
        return self._inject(chat_id, Written(text), None)

    def _inject(self, user: int, what: Written, burst: _Burst | None) -> int:
        if not 0 < user < 1 << 52:
            raise ValueError("a private chat's id lies between 1 and 2^52")
        most = MOST_CAPTION_UNITS if what.is_caption else TEXT_UNITS
        if not what.text.strip() or utf16_units(what.text) > most:
            raise ValueError(f"a message has 1 to {most} characters that are not all white space")
        if len(self._pending) >= _PENDING:
            raise ValueError(f"{_PENDING} messages wait for the bot already")
        message_id = self._next_message
        self._next_message += 1
        message: JsonObject = {
            "message_id": message_id,
            "from": self._user(user) | {"language_code": "en"},
            "chat": self.group(user) if what.in_group else self.chat(user),
            "date": int(time()),
        } | content_of(what)
        chat_id: int = message["chat"]["id"]
        if command := _COMMAND.match(what.text):
            message["entities"] = [{"offset": 0, "length": command.end(), "type": "bot_command"}]
        self._injected += 1
        if burst is not None:
            burst.sent += 1
        if self._is_asked_for("message"):
            self._queue("message", message, burst)
            self._unanswered.setdefault(chat_id, deque(maxlen=_UNANSWERED_A_CHAT)).append(self._pending[-1])
        if what.is_edited and self._is_asked_for("edited_message"):  # what it was stays what is to be answered
            self._queue("edited_message", message | {"text": f"{what.text}.", "edit_date": int(time())}, None)
        self._changed()
        return message_id

    def _is_asked_for(self, kind: str) -> bool:
        return not self.allowed_updates or kind in self.allowed_updates

    def _queue(self, kind: str, message: JsonObject, burst: _Burst | None) -> None:
        update = {"update_id": self._next_update, kind: message}
        record = _Message(message["chat"]["id"], message["message_id"], self._next_update, update, burst)
        record.written_s = monotonic()
        self._pending.append(record)
        self._next_update += 1

    def _user(self, chat_id: int) -> JsonObject:
        name = _NAMES[chat_id % len(_NAMES)]
        return {"id": chat_id, "is_bot": False, "first_name": name, "username": f"user{chat_id}"}

    def chat(self, chat_id: int) -> JsonObject:
        """The private chat of that user, which exists from now on."""
        if chat_id not in self._chats:
            user = self._user(chat_id)
            self._keep_chat({key: user[key] for key in ("id", "first_name", "username")} | {"type": "private"})
        return self._chats[chat_id]

    def _keep_chat(self, chat: JsonObject) -> None:
        self._chats[chat["id"]] = chat
        if len(self._chats) > _CHATS:
            oldest = next(iter(self._chats))
            del self._chats[oldest]
            self._unanswered.pop(oldest, None)

    def group(self, user: int) -> JsonObject:
        """The group in which that user and the bot are; a group's id is negative."""
        chat_id = -1_000_000_000_000 - user
        if chat_id not in self._chats:
            self._keep_chat({"id": chat_id, "title": f"Board club {user}", "type": "supergroup"})
        return self._chats[chat_id]

    def begin_burst(self, messages: int) -> int:
        """The number of a burst of that many messages, which `write` sends."""
        self._last_burst += 1
        self._bursts[self._last_burst] = _Burst(begun=monotonic(), total=messages)
        if len(self._bursts) > _BURSTS:
            del self._bursts[next(iter(self._bursts))]
        return self._last_burst

    def write(self, number: int, user: int, what: Written) -> None:
        """That user writes one message of a burst. Raises KeyError where the burst is not known (any more).

        Where each user writes one alone, no reply can be taken for another message's.
        """
        self._inject(user, what, self._bursts[number])

    def burst(self, number: int) -> BurstCount:
        """What is counted of that burst so far. Raises KeyError where it is not known (any more)."""
        burst = self._bursts[number]
        complete = burst.answered == burst.total
        waits_s = sorted(burst.waits_s) if complete else []  # while it goes on, nobody reads them
        return BurstCount(
            sent=burst.sent,
            delivered=burst.delivered,
            answered=burst.answered,
            tls_version=" + ".join(sorted({version for version, _ in burst.tls})),
            tls_cipher=" + ".join(sorted({cipher for _, cipher in burst.tls})),
            seconds=(burst.last_reply if complete else monotonic()) - burst.begun,
            median_s=_share(waits_s, 0.5),
            p95_s=_share(waits_s, 0.95),
        )

    def replies(self, chat_id: int, after: int) -> list[Reply]:
        """The bot's messages in that chat with ids above `after`, oldest first (of the last few thousand)."""
        return [reply for reply in self._replies if reply.chat_id == chat_id and reply.message_id > after]

    def counts(self) -> Counts:
        """What passed so far."""
        return Counts(self._injected, self._delivered, self._answered, self._extra, len(self._pending))

    # The bot's side.

    def knows(self, chat_id: int) -> bool:
        """Whether that user ever wrote to the bot: only then may it write to him."""
        return chat_id in self._chats

    def confirm(self, offset: int) -> None:
        """Forget updates as getUpdates does: those below `offset`; a negative one keeps only the last -offset."""
        if offset < 0:
            offset = self._pending[offset].update_id if len(self._pending) >= -offset else 0
        while self._pending and self._pending[0].update_id < offset:
            message = self._pending.popleft()
            if message.handed_out:
                self._delivered += 1
                if message.burst is not None:
                    message.burst.delivered += 1
        self._changed()

    def hand_out(self, limit: int) -> list[JsonObject]:
        """The first `limit` updates, which stay until they are confirmed."""
        batch = [message for _, message in zip(range(limit), self._pending, strict=False)]
        for message in batch:
            message.handed_out = True
        return [message.update for message in batch]

    def forget_pending(self) -> None:
        """Drop what waits (deleteWebhook and setWebhook with drop_pending_updates)."""
        self._pending.clear()

    def receive(self, chat_id: int, text: str, reply_to: int | None, tls: Tls, bot: Mapping[str, Any]) -> JsonObject:
        """The bot wrote `text` (without markup) to that chat; the Message object that it gets back.

        It counts for the message that it replies to, or else for the oldest one there that was handed out and that has
        no reply yet; otherwise it is extra.
        """
        message_id = self._next_message
        self._next_message += 1
        answered = self._take_unanswered(chat_id, reply_to)
        if answered is None:
            self._extra += 1
        else:
            self._answered += 1
            if answered.burst is not None:
                answered.burst.answered += 1
                answered.burst.last_reply = monotonic()
                answered.burst.waits_s.append(answered.burst.last_reply - answered.written_s)
                answered.burst.tls.add(tls)
        self._replies.append(Reply(chat_id, message_id, text, answered.message_id if answered else None))
        self._changed()
        return {
            "message_id": message_id,
            "from": {key: bot[key] for key in ("id", "is_bot", "first_name", "username")},
            "chat": self.chat(chat_id),
            "date": int(time()),
            "text": text,
        }

    def _take_unanswered(self, chat_id: int, reply_to: int | None) -> _Message | None:
        waiting = self._unanswered.get(chat_id, ())
        for message in waiting:
            if message.handed_out and reply_to in (None, message.message_id):
                self._unanswered[chat_id].remove(message)
                if not self._unanswered[chat_id]:
                    del self._unanswered[chat_id]
                return message
        return None
