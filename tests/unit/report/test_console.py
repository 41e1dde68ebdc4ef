"""What reaches a terminal: plain lines where there is none, and never what a board would like to do to one."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.report.console import Screen
from deploy.report.silent import screen as screen_for
from deploy.steps.face import StepRecord

EVIL = "a\x1b[2J\x1b]0;title\x07b\x9b31m\rc\x08\u202edd\x7f"
MARKUP = "[red]not red[/red] [link=http://x]y[/link] [/] :smile: [bold"
RECORD = StepRecord("Push", None, "sent 4.5 MiB", 1.25, 2)


def controls(text: str) -> list[str]:
    """The characters that would steer a terminal or turn the direction of text."""
    return [character for character in text if character not in "\n\t" and not character.isprintable()]


def test_text_is_printed_literally_and_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.say(MARKUP)
    screen.error(MARKUP)
    screen.pairs(MARKUP[:20], [("name [b]", "[red]value[/red]")])
    screen.table("", ["column [i]"], [["[red]cell[/red]"]])
    with screen.steps() as steps:
        steps.started("Push")
        steps.note(MARKUP)
        steps.finished(StepRecord("Push", None, MARKUP, 0.1, 1))
    out, err = capsys.readouterr()
    assert out.count(MARKUP) == 3
    assert err == MARKUP + "\n"
    assert "name [b]" in out
    assert "[red]value[/red]" in out
    assert "column [i]" in out
    assert "[red]cell[/red]" in out


def test_no_control_character_of_a_board_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.say(EVIL)
    screen.error(EVIL)
    screen.pairs(EVIL, [(EVIL, EVIL)])
    screen.table(EVIL, [EVIL], [[EVIL]])
    with screen.steps() as steps:
        steps.started(EVIL)
        steps.note(EVIL)
        steps.finished(StepRecord(EVIL, None, EVIL, 0.1, 1))
        steps.finished(StepRecord("Push", EVIL, "", 0.1, 1))
    out, err = capsys.readouterr()
    assert controls(out) == []
    assert controls(err) == []
    assert "\\x1b" in out
    assert "\\x1b" in err


def test_without_a_terminal_each_event_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen().steps() as steps:
        steps.started("Push")
        for done in range(20):
            steps.note("waiting" if done < 19 else "arrived")
            steps.progress(done, 20)
        steps.finished(RECORD)
        steps.started("Start")
        steps.finished(StepRecord("Start", "it runs already", "", 0.0, 0))
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "    waiting",
        "    arrived",
        "+ Push       sent 4.5 MiB  (1.2 s)",
        "= Start      it runs already",
    ]


def test_a_long_line_stays_one_line_so_that_scripts_can_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().say("x" * 500 + " y")
    Screen().error("z" * 500)
    out, err = capsys.readouterr()
    assert out == "x" * 500 + " y\n"
    assert err == "z" * 500 + "\n"


def test_beside_a_json_document_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    screen = screen_for(as_json=True)
    screen.say("said")
    screen.pairs("title", [("a", "b")])
    with screen.steps() as steps:
        steps.started("Push")
        steps.note("note")
        steps.progress(1, 2)
        steps.finished(RECORD)
    assert capsys.readouterr() == ("", "")
    screen_for(as_json=False).say("said")
    assert capsys.readouterr() == ("said\n", "")


def test_a_hash_is_never_cut_off_in_a_narrow_window(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    Screen().pairs("built", [("sha256", "ab" * 32)])
    out = capsys.readouterr().out
    assert re.sub(r"\s", "", out).endswith("ab" * 32)


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, show: Callable[[Screen], None]) -> str:
    """What a terminal gets of it."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    received = bytearray()
    try:
        with os.fdopen(theirs, "w") as terminal:
            monkeypatch.setattr("sys.stdout", terminal)
            show(Screen())
            terminal.flush()
            os.set_blocking(ours, False)
            with suppress(BlockingIOError, OSError):
                while piece := os.read(ours, 65536):
                    received += piece
    finally:
        os.close(ours)
    return received.decode()


def test_on_a_terminal_a_verdict_has_its_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    text = on_a_terminal(monkeypatch, lambda screen: screen.pairs("", [("verdict", "FAIL: over"), ("x", "plain")]))
    assert re.search(r"\x1b\[1;31mFAIL", text)
    assert not re.search(r"\x1b\[[0-9;]+mplain", text)


def test_on_a_terminal_too_the_board_steers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def show(screen: Screen) -> None:
        with screen.steps() as steps:
            steps.started(EVIL)
            steps.note(EVIL)
            steps.note(MARKUP)
            steps.finished(StepRecord("Push", None, EVIL + MARKUP, 0.1, 1))
        screen.say(EVIL)

    text = on_a_terminal(monkeypatch, show)
    for steering in ("\x1b[2J", "\x1b]0;", "\x07", "\x9b", "\x08", "\u202e", "\x7f"):
        assert steering not in text, repr(steering)
    assert "[red]not red[/red]" in text


def test_the_folder_of_this_test_is_not_the_users(private_home: Path) -> None:
    assert os.environ["HOME"] == str(private_home)


def printed_where_nobody_reads(flags: str) -> tuple[int, bytes]:
    """Status and standard error of a process that prints three times into a pipe that nobody reads any more."""
    program = f"from deploy.report.console import Screen; it = Screen({flags}); [it.say('x' * 9000) for _ in range(3)]"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(writer)
    return ended.returncode, ended.stderr


def test_a_reader_that_goes_away_ends_only_what_has_no_end_of_its_own() -> None:
    assert printed_where_nobody_reads("") == (0, b"")
    status, said = printed_where_nobody_reads("ends_with_reader=True")
    assert status == 1 and said.rstrip().endswith(b"BrokenPipeError")
