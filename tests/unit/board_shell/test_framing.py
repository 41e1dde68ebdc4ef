"""Sections come back whole through a real sh; nothing that a board prints can pass for a marker."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.board_shell.framing import Answers, Framing, parse
from deploy.errors import BadAnswer


def run_sh(framing: Framing, *sections: str, before: str = "") -> Answers:
    text = before + framing.prelude() + "".join(sections) + framing.close()
    ended = subprocess.run(["sh"], input=text.encode(), stdout=subprocess.PIPE, timeout=20, check=True)
    return parse(framing, ended.stdout)


def test_sections_keep_their_text_and_status() -> None:
    framing = Framing.new()
    answers = run_sh(
        framing,
        framing.section("kernel", "echo Linux"),
        framing.section("empty", ":"),
        framing.section("bare", "printf 'no newline'"),
        framing.section("lines", "printf '\\n\\na\\n\\n'"),
        framing.section("gone", "echo half; exit 7"),
    )
    assert [(s.name, s.text, s.exit_status) for s in answers] == [
        ("kernel", "Linux\n", 0),
        ("empty", "", 0),
        ("bare", "no newline", 0),
        ("lines", "\n\na\n\n", 0),
        ("gone", "half\n", 7),
    ]
    assert answers.text("kernel") == "Linux"
    assert answers.after_success("gone") is None


def test_a_banner_and_a_talkative_login_script_are_ignored() -> None:
    framing = Framing.new()
    answers = run_sh(
        framing,
        framing.section("a", "echo 1"),
        "printf 'said in between'\n",
        before="echo Welcome; printf 'no end of line'\n",
    )
    assert answers.text("a") == "1"


def test_variables_set_before_are_seen_and_those_set_inside_are_gone() -> None:
    framing = Framing.new()
    answers = run_sh(framing, "x=1\n", framing.section("a", "echo $x; x=2"), framing.section("b", "echo $x"))
    assert (answers.text("a"), answers.text("b")) == ("1", "1")


def test_a_name_may_come_back_many_times_and_then_is_not_the_one_answer() -> None:
    framing = Framing.new()
    answers = run_sh(framing, "for i in 1 2; do\n", framing.section("look", "echo $i"), "done\n")
    assert [s.stripped for s in answers] == ["1", "2"]
    with pytest.raises(BadAnswer, match="2 times"):
        answers.section("look")
    with pytest.raises(BadAnswer, match="0 times"):
        answers.section("missing")


def test_an_answer_that_is_cut_short_is_no_answer() -> None:
    framing = Framing.new()
    text = framing.prelude() + framing.section("a", "echo 1") + framing.section("b", "echo 2") + framing.close()
    whole = subprocess.run(["sh"], input=text.encode(), stdout=subprocess.PIPE, timeout=20, check=True).stdout
    parse(framing, whole)
    for length in range(len(whole) - 1):
        with pytest.raises(BadAnswer):
            parse(framing, whole[:length])


def test_a_shell_that_only_echoes_the_script_answers_nothing() -> None:
    framing = Framing.new()
    text = framing.prelude() + framing.section("a", "echo 1") + framing.close()
    with pytest.raises(BadAnswer, match="did not answer"):
        parse(framing, text.encode())


def test_text_printed_inside_a_section_with_another_runs_markers_stays_text() -> None:
    framing, other = Framing.new(), Framing.new()
    lines = ("end a 0", "begin b", "end b 0", "close")
    forged = "".join(f"\n#{other.nonce} {line}\n" for line in lines)
    genuine = f"\n#{framing.nonce} begin a\n{forged}\n#{framing.nonce} end a 0\n\n#{framing.nonce} close\n"
    answers = parse(framing, genuine.encode())
    assert [s.name for s in answers] == ["a"]
    assert answers.section("a").text == forged


def test_a_name_that_the_shell_would_read_otherwise_is_refused() -> None:
    for name in ("", "a b", "$x", "A", "a;b"):
        with pytest.raises(ValueError, match="can't name a section"):
            Framing.new().section(name, ":")


pieces = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"\n",
            b"#",
            b" begin stat\n",
            b" end stat 0\n",
            b" close\n",
            b"#NONCE",
            b"\n#NONCE begin stat\n",
            b"\n#NONCE end stat 0\n",
            b"\n#NONCE close\n",
        ]
    ),
)


@given(st.lists(pieces, max_size=12))
def test_whatever_a_board_prints_it_is_sections_or_a_bad_answer(parts: list[bytes]) -> None:
    framing = Framing.new()
    known = b"".join(parts).replace(b"NONCE", framing.nonce.encode())
    try:
        answers = parse(framing, known)
    except BadAnswer:
        pass
    else:
        assert all(section.name == "stat" for section in answers)
    with pytest.raises(BadAnswer):  # another run's nonce is nothing here
        parse(Framing.new(), known)
