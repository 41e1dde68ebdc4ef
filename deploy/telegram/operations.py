"""Knows the user's side as operations on JSON values, so that it is the same within a process and through a socket.

Who asks is `user_side.py`'s; a socket's framing is `deploy/emulator/control.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from time import monotonic
from typing import Any

from deploy.telegram.bot_api import BotApi
from deploy.telegram.counts import Fault
from deploy.telegram.writing import KINDS, Written, written

LONGEST_WAIT_S = 20.0
"""How long one operation waits at most; who wants to wait longer asks again."""

MOST_MESSAGES = 10_000

MOST_A_SECOND = 1000.0


class Operations:
    """What can be asked of a running stand-in. All calls come from its event loop."""

    def __init__(self, bot_api: BotApi) -> None:
        self._bot_api = bot_api
        self._mailbox = bot_api.mailbox
        self._writing: set[asyncio.Task[None]] = set()
        self._table: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "new_chat": self._new_chat,
            "say": self._say,
            "replies": self._replies,
            "begin_burst": self._begin_burst,
            "watch_burst": self._watch_burst,
            "counts": self._counts,
            "fault": self._fault,
            "clear_faults": self._clear_faults,
        }

    def __contains__(self, name: str) -> bool:
        return name in self._table

    async def answer(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of operation `name`. Raises ValueError or TypeError where the arguments don't fit, KeyError."""
        return await self._table[name](**arguments)

    async def _new_chat(self) -> dict[str, Any]:
        return {"chat_id": self._mailbox.new_chat()}

    async def _say(self, chat_id: int, text: str) -> dict[str, Any]:
        return {"message_id": self._mailbox.inject(chat_id, text)}

    async def _replies(self, chat_id: int, after: int, wait_s: float) -> dict[str, Any]:
        until = monotonic() + min(wait_s, LONGEST_WAIT_S)
        while not (replies := self._mailbox.replies(chat_id, after)) and (left := until - monotonic()) > 0:
            await self._bot_api.bell.wait(left)
        return {"replies": [asdict(reply) for reply in replies]}

    async def _begin_burst(
        self, messages: int, chats: int | None, kinds: list[str] | None = None, rate_hz: float = 0.0
    ) -> dict[str, Any]:
        if not 1 <= messages <= MOST_MESSAGES:
            raise ValueError(f"a burst has 1 to {MOST_MESSAGES} messages")
        chats = messages if chats is None else chats
        if not 1 <= chats <= messages:
            raise ValueError("a burst has at least one chat and no more chats than messages")
        if not 0 <= rate_hz <= MOST_A_SECOND:
            raise ValueError(f"users write at most {MOST_A_SECOND:g} messages a second")
        texts = written(tuple(kinds or KINDS[:1]), messages, self._bot_api.username)
        burst = self._mailbox.begin_burst(messages)
        users = [self._mailbox.new_chat() for _ in range(chats)]
        if rate_hz:
            task = asyncio.get_running_loop().create_task(self._write(burst, texts, users, rate_hz))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        else:
            for at, what in enumerate(texts):
                self._mailbox.write(burst, users[at % chats], what)
        return {"burst": burst}

    async def _write(self, burst: int, texts: list[Written], users: list[int], rate_hz: float) -> None:
        """One after the other, at that rate from the first on; a pause that took too long is made up for."""
        begun = monotonic()
        for at, what in enumerate(texts):
            if (early := begun + at / rate_hz - monotonic()) > 0:
                await asyncio.sleep(early)
            self._mailbox.write(burst, users[at % len(users)], what)

    async def _watch_burst(self, burst: int, seen: list[int], wait_s: float) -> dict[str, Any]:
        """Its count, as soon as delivered and answered are no more what was `seen`."""
        until = monotonic() + min(wait_s, LONGEST_WAIT_S)
        while True:
            count = self._mailbox.burst(burst)
            left = until - monotonic()
            if [count.delivered, count.answered] != seen or left <= 0:
                return {"count": asdict(count)}
            await self._bot_api.bell.wait(left)

    async def _counts(self) -> dict[str, Any]:
        return {"counts": asdict(self._mailbox.counts())}

    async def _fault(self, **fault: Any) -> dict[str, Any]:
        self._bot_api.schedule(Fault(**fault))
        return {}

    async def _clear_faults(self) -> dict[str, Any]:
        self._bot_api.clear_faults()
        return {}
