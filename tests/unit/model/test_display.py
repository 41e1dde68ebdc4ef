"""What a board prints can't steer the terminal that it is shown on."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from deploy.model.display import clean


def test_an_escape_sequence_is_shown_as_text() -> None:
    assert clean(b"\x1b[2Jgone\x07") == "\\x1b[2Jgone\\x07"


def test_a_bidirectional_override_is_shown_as_text() -> None:
    assert clean("user\u202etxt.exe") == "user\\u202etxt.exe"


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert clean(b"caf\xe9") == "caf\N{REPLACEMENT CHARACTER}"


def test_line_ends_of_a_terminal_become_plain() -> None:
    assert clean(b"one\r\ntwo\r\n") == "one\ntwo\n"


def test_the_end_of_a_long_text_is_kept() -> None:
    assert clean("a" * 100 + "the end", most=10) == "…aathe end"


@given(st.binary(max_size=300))
def test_nothing_but_newlines_and_tabs_controls_anything(text: bytes) -> None:
    categories = {unicodedata.category(character) for character in clean(text) if character not in "\n\t"}
    assert not categories & {"Cc", "Cf", "Cs"}


@given(st.text(max_size=300), st.integers(min_value=1, max_value=50))
def test_the_bound_is_kept_before_escaping(text: str, most: int) -> None:
    assert len(clean(text, most).replace("\\", "")) <= most * 10
