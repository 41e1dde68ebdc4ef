"""Knows what users write to the bot: kinds of messages, and the objects that the Bot API makes of them.

Source: core.telegram.org/bots/api (Message, Chat, PhotoSize). Who writes when is `operations.py`'s, counting
`mailbox.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = ("short", "long", "markdown", "emoji", "group", "caption", "edit")
"""`short`: of different lengths and scripts; `long`: 4,096 characters; `markdown`: what becomes markup in an answer;
`emoji`: most take two UTF-16 units and four bytes; `group`: mentions the bot where others read it too; `caption`: the
text of a photo; `edit`: a text that its user changes right after it."""

MOST_CAPTION_UNITS = 1024
"""sendPhoto: "Photo caption, 0-1024 characters"; nobody writes a longer one."""

# Of different lengths and scripts, because a gateway's buffers see the difference.
_SENTENCES = (
    "hello",
    "What does this board run on?",
    "Grüße aus Zürich: läuft der kleine Rechner noch? 🙂",
    "Please remind me that the backup disk has to be changed on Friday, and that the fan in the cupboard is loud.",
    "今日の天気はどうですか",
    "ok, thanks",
)
_MARKDOWN = (
    "# List for Friday\n**bring** the _small_ board, `ssh root@board`, and [the plan](https://example.com/plan?a=1&b=2)\n"
    '- one < two\n- two > one\n> said somebody\n```sh\necho "$HOME" && cat /proc/meminfo\n```\nThen ~~wait~~ *go*.'
)
_EMOJI = "👩‍👩‍👧‍👦 🇨🇭 👍🏽 🙂 🧑‍🚀 1️⃣ "
_PARAGRAPH = (
    "The quick brown fox jumps over the lazy dog, and nobody asks the dog. Zwölf Boxkämpfer jagen Viktor quer. "
)


@dataclass(frozen=True, slots=True)
class Written:
    """One message of a user: its text, and what it comes with."""

    text: str
    is_caption: bool = False
    in_group: bool = False
    is_edited: bool = False


def written(kinds: tuple[str, ...], messages: int, bot: str) -> list[Written]:
    """That many messages, of the kinds by turns, for the bot of that username; numbered, so that each occurs once.

    Raises ValueError for a kind that is none.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ValueError(f"{unknown[0]!r} is no kind of message: there are {', '.join(KINDS)}")
    if not kinds:
        raise ValueError("no kind of message is named")
    return [_one(kinds[at % len(kinds)], at, f"({at + 1}/{messages})", bot) for at in range(messages)]


def _one(kind: str, at: int, number: str, bot: str) -> Written:
    sentence = _SENTENCES[at % len(_SENTENCES)]
    if kind == "long":
        return Written((_PARAGRAPH * 40)[: 4096 - len(number) - 1] + " " + number)
    if kind == "markdown":
        return Written(f"{_MARKDOWN} {number}")
    if kind == "emoji":
        return Written(f"{_EMOJI * (1 + at % 4)}{number}")
    if kind == "group":
        return Written(f"@{bot} {sentence} {number}", in_group=True)
    return Written(f"{sentence} {number}", is_caption=kind == "caption", is_edited=kind == "edit")


def content_of(what: Written) -> dict[str, Any]:
    """The fields of a Message that hold what was written: a text, or a photo with its caption."""
    if not what.is_caption:
        return {"text": what.text}
    sizes = [
        {"file_id": f"AgACAgIAAxkB{size}", "file_unique_id": f"AQAD{size}", "file_size": size * size // 12}
        | {"width": size, "height": size * 3 // 4}
        for size in (90, 320, 800, 1280)
    ]
    return {"photo": sizes, "caption": what.text}
