"""Knows a conversation of one user with the bot: a line goes out, replies come in. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from deploy.telegram.counts import Reply
from deploy.telegram.user_side import UserSide


class Conversation:
    """One user's chat, new or known by its `chat_id`. Not for several threads."""

    def __init__(self, user_side: UserSide, chat_id: int | None = None) -> None:
        self._user_side = user_side
        self.chat_id = user_side.new_chat() if chat_id is None else chat_id
        known = user_side.replies(self.chat_id)
        self._last = known[-1].message_id if known else 0

    def send(self, line: str) -> int:
        """Write `line` to the bot; the message's id. Raises ValueError where it is empty or too long."""
        return self._user_side.say(self.chat_id, line)

    def incoming(self, wait_s: float = 0.0) -> tuple[Reply, ...]:
        """What the bot wrote since the last call; waits up to `wait_s` seconds for the first of it."""
        replies = self._user_side.replies(self.chat_id, self._last, wait_s)
        if replies:
            self._last = replies[-1].message_id
        return replies

    def ask(self, line: str, *, wait_s: float = 30.0, quiet_s: float = 0.3) -> Iterator[Reply]:
        """Write `line`; then each reply as it comes, until `quiet_s` seconds pass after one without another.

        Ends without any where none comes within `wait_s` seconds.
        """
        self.send(line)
        until = monotonic() + wait_s
        wait = wait_s
        while replies := self.incoming(wait):
            yield from replies
            wait = min(quiet_s, max(0.0, until - monotonic()))
