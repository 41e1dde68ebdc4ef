"""Knows Telegram's HTML markup as `parse_mode` HTML takes it: which tags there are, and which text is refused.

Links and styles are not kept: what a user reads is all that the stand-in shows.
The rules and the sentences of the faults are Telegram's own (core.telegram.org/bots/api, "HTML style", and the tests of
TDLib's `parse_html`); offsets count bytes of UTF-8.
"""

from __future__ import annotations

import re

TAGS = frozenset(
    ("a", "b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span")  # the whole list there
) | {"tg-spoiler", "tg-emoji", "code", "pre", "blockquote"}

_NAMED = {b"lt": "<", b"gt": ">", b"amp": "&", b"quot": '"'}
_ENTITY = re.compile(rb"&(?:#x([0-9A-Fa-f]{1,8})|#([0-9]{1,8})|(lt|gt|amp|quot));?")
_START = re.compile(rb"<([^\s>]*)")
_ATTRIBUTE_NAME = re.compile(rb"\s*([^\s=>]*)\s*")
_TOKEN = re.compile(rb"[A-Za-z0-9.-]*")
_END = re.compile(rb"</([^\s>]*)\s*")


class MarkupFault(ValueError):
    """The text is not well-formed markup; its message is what Telegram puts after "can't parse entities: "."""


def _character(match: re.Match[bytes]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    code = int(match[1], 16) if match[1] else int(match[2])
    if not 0 < code < 0x110000:
        return match[0].decode()
    return chr(code)


def _attributes(data: bytes, at: int, tag: str, tag_at: int) -> int:
    """Pass over the attributes of the start tag at `tag_at`, from `at`; return where its ">" is."""
    while True:
        name = _ATTRIBUTE_NAME.match(data, at)
        assert name is not None
        at = name.end()
        if not name[1] and data[at : at + 1] == b">":
            return at
        if at >= len(data) and not name[1]:
            raise MarkupFault(f"Unclosed start tag at byte offset {tag_at}")
        if not name[1]:
            raise MarkupFault(f'Empty attribute name in the tag "{tag}" at byte offset {tag_at}')
        if data[at : at + 1] != b"=":
            raise MarkupFault(
                f'Expected equal sign in declaration of an attribute of the tag "{tag}" at byte offset {tag_at}'
            )
        at += 1
        while data[at : at + 1].isspace():
            at += 1
        at = _value(data, at, tag, tag_at)


def _value(data: bytes, at: int, tag: str, tag_at: int) -> int:
    """Pass over one attribute's value; return what follows it."""
    if at >= len(data):
        raise MarkupFault(f'Unclosed start tag "{tag}" at byte offset {tag_at}')
    if data[at : at + 1] in (b'"', b"'"):
        end = data.find(data[at : at + 1], at + 1)
        if end < 0:
            raise MarkupFault(f"Unclosed start tag at byte offset {tag_at}")
        return end + 1
    token = _TOKEN.match(data, at)
    assert token is not None
    following = data[token.end() : token.end() + 1]
    if following and not following.isspace() and following != b">":
        raise MarkupFault(f"Unexpected end of name token at byte offset {at}")
    return token.end()


def plain_text(markup: str) -> str:
    """What a user reads of `markup`. Raises MarkupFault where Telegram would refuse it."""
    data = markup.encode()
    shown: list[str] = []
    open_tags: list[str] = []
    at = 0
    while at < len(data):
        here = data[at : at + 1]
        if here == b"&":
            entity = _ENTITY.match(data, at)
            shown.append(_character(entity) if entity else "&")
            at = entity.end() if entity else at + 1
        elif here != b"<":
            stop = min((found for found in (data.find(b"<", at), data.find(b"&", at)) if found >= 0), default=len(data))
            shown.append(data[at:stop].decode())
            at = stop
        elif data[at + 1 : at + 2] == b"/":
            at = _end_tag(data, at, open_tags)
        else:
            at = _start_tag(data, at, open_tags)
    if open_tags:
        raise MarkupFault(f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}"')
    text = "".join(shown)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise MarkupFault(
            "Text contains invalid Unicode characters after decoding HTML entities, "
            "check for unmatched surrogate code units"
        )
    return text


def _start_tag(data: bytes, at: int, open_tags: list[str]) -> int:
    start = _START.match(data, at)
    assert start is not None
    if start.end() >= len(data):
        raise MarkupFault(f"Unclosed start tag at byte offset {at}")
    tag = start[1].decode(errors="replace").lower()
    if tag not in TAGS:
        raise MarkupFault(f'Unsupported start tag "{tag}" at byte offset {at}')
    end = _attributes(data, start.end(), tag, at)
    open_tags.append(tag)
    return end + 1


def _end_tag(data: bytes, at: int, open_tags: list[str]) -> int:
    if not open_tags:
        raise MarkupFault(f"Unexpected end tag at byte offset {at}")
    end = _END.match(data, at)
    assert end is not None
    if data[end.end() : end.end() + 1] != b">":
        raise MarkupFault(f"Unclosed end tag at byte offset {at}")
    found, expected = end[1].decode(errors="replace").lower(), open_tags.pop()
    if found not in ("", expected):
        raise MarkupFault(f'Unmatched end tag at byte offset {at}, expected "</{expected}>", found "</{found}>"')
    return end.end() + 1
