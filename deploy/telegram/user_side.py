"""Knows how synchronous code plays the user's side of a stand-in: bursts that are counted, and a conversation.

It is the same for the stand-in of the loopback board (in its daemon) and for one in this process (`served.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from time import monotonic
from typing import Any, Protocol

from deploy.telegram.counts import BurstCount, Counts, Fault, Reply
from deploy.telegram.writing import KINDS

Ask = Callable[[str, dict[str, Any], float], dict[str, Any]]
"""Ask a stand-in for an operation: its name, its arguments, and how many seconds the answer may take."""

_STEP_S = 5.0
_SLACK_S = 10.0


class UserSide(Protocol):
    """What users do and see. Raises LoopbackFailed where the stand-in does not answer, ValueError for bad arguments."""

    def burst(
        self,
        messages: int,
        *,
        chats: int | None = None,
        kinds: tuple[str, ...] = (),
        rate_hz: float = 0.0,
        deadline_s: float = 60.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> BurstCount:
        """Users send that many messages; the count when all are delivered and answered, or at the deadline.

        All at once, or `rate_hz` a second; of the `kinds` of `writing.KINDS` by turns, short ones where none is named.
        Each message has a chat of its own, in which a reply can be for nothing else; with `chats` they are spread over
        that many, and a gateway that splits one reply in two may be counted too well. `progress` gets (answered, sent).
        """
        ...

    def new_chat(self) -> int:
        """The chat id of a user who never wrote before."""
        ...

    def say(self, chat_id: int, text: str) -> int:
        """That user writes `text`; the message's id."""
        ...

    def replies(self, chat_id: int, after: int = 0, wait_s: float = 0.0) -> tuple[Reply, ...]:
        """The bot's messages there with ids above `after`; waits up to `wait_s` seconds for the first."""
        ...

    def counts(self) -> Counts:
        """What passed since the stand-in started."""
        ...

    def schedule(self, fault: Fault) -> None:
        """Let a fault happen to the bot's next calls."""
        ...

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        ...


class AskedUserSide:
    """The user's side by way of an `Ask`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def _do(self, name: str, longest_s: float = 0.0, /, **arguments: Any) -> dict[str, Any]:
        return self._ask(name, arguments, longest_s + _SLACK_S)

    def burst(
        self,
        messages: int,
        *,
        chats: int | None = None,
        kinds: tuple[str, ...] = (),
        rate_hz: float = 0.0,
        deadline_s: float = 60.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> BurstCount:
        """See UserSide."""
        until = monotonic() + deadline_s
        # Only what is asked for: a board that is up may be served by the slimdeploy of before an update.
        given: dict[str, Any] = {"messages": messages, "chats": chats}
        given |= {"kinds": list(kinds)} if kinds not in ((), KINDS[:1]) else {}
        given |= {"rate_hz": rate_hz} if rate_hz else {}
        burst = self._do("begin_burst", **given)["burst"]
        seen = [0, 0]
        while True:
            wait_s = max(0.0, min(_STEP_S, until - monotonic()))
            answer = self._do("watch_burst", wait_s, burst=burst, seen=seen, wait_s=wait_s)
            count = BurstCount(**answer["count"])
            if progress is not None:
                progress(count.answered, count.sent)
            if (count.complete and count.sent == messages) or monotonic() >= until:
                return count
            seen = [count.delivered, count.answered]

    def new_chat(self) -> int:
        """See UserSide."""
        chat_id: int = self._do("new_chat")["chat_id"]
        return chat_id

    def say(self, chat_id: int, text: str) -> int:
        """See UserSide."""
        message_id: int = self._do("say", chat_id=chat_id, text=text)["message_id"]
        return message_id

    def replies(self, chat_id: int, after: int = 0, wait_s: float = 0.0) -> tuple[Reply, ...]:
        """See UserSide."""
        until = monotonic() + wait_s
        while True:
            step_s = max(0.0, min(_STEP_S, until - monotonic()))
            answer = self._do("replies", step_s, chat_id=chat_id, after=after, wait_s=step_s)
            if answer["replies"] or monotonic() >= until:
                return tuple(Reply(**reply) for reply in answer["replies"])

    def counts(self) -> Counts:
        """See UserSide."""
        return Counts(**self._do("counts")["counts"])

    def schedule(self, fault: Fault) -> None:
        """See UserSide."""
        self._do("fault", **asdict(fault))

    def clear_faults(self) -> None:
        """See UserSide."""
        self._do("clear_faults")
