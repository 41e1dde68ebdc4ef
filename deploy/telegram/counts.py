"""Knows the nouns of the user's side: a burst's count, a reply, a fault. How they come about is `mailbox.py`'s."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("status", "drop", "slow")


@dataclass(frozen=True, slots=True)
class BurstCount:
    """What the Bot API's side saw of one burst of messages."""

    sent: int
    """Messages that users sent (injected)."""
    delivered: int
    """Of these, messages that the gateway confirmed: it asked for a higher `offset`."""
    answered: int
    """Of these, messages to which a reply came after they had been handed out, each counted once."""
    tls_version: str
    """The protocol of the connections on which the replies came, "TLSv1.3"; several are joined with " + "."""
    tls_cipher: str
    """Their cipher suites, in the same way."""
    seconds: float
    """From the first message to the last reply, or until now where replies are missing."""
    median_s: float = 0.0
    """From a message to its reply, of half of those that have one; all of a burst at once wait for each other."""
    p95_s: float = 0.0
    """The same, of 95 of 100."""

    @property
    def complete(self) -> bool:
        """Whether every message was delivered and answered."""
        return self.sent == self.delivered == self.answered


@dataclass(frozen=True, slots=True)
class Counts:
    """What passed since the stand-in started; `extra` are the bot's messages that answered nothing."""

    injected: int
    delivered: int
    answered: int
    extra: int
    pending: int
    """Updates that wait for a confirmation."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A message of the bot as its user sees it: `text` without markup."""

    chat_id: int
    message_id: int
    text: str
    answers: int | None
    """The message_id of the user's message that it was counted for; None where it answered none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next `calls` calls of `method` ("" for any), instead of or before the right answer.

    kind "status": an error of `status`; with 429, `retry_after_s` goes with it. kind "drop": the call takes effect, and
    the connection ends in the middle of the body. kind "slow": the right answer after `delay_s` (at most 60) seconds.
    """

    kind: str
    method: str = ""
    calls: int = 1
    status: int = 500
    retry_after_s: int = 1
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is not a kind of fault: it is one of {', '.join(KINDS)}")
        if not (400 <= self.status <= 599 and self.calls >= 1 and 0 <= self.delay_s <= 60):
            raise ValueError(
                "a fault has a status from 400 to 599, at least one call, and a delay of 60 seconds at most"
            )
