"""Ctrl-C before a command has begun is told as such: an exit code of 1 would be a verdict."""

from __future__ import annotations

import pytest

from deploy import __main__ as program
from deploy.cli.program import SlimProgram


def test_ctrl_c_while_the_flags_are_parsed_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SlimProgram, "parse_core", interrupted)
    assert program._code() == program.INTERRUPTED == 130
    assert capsys.readouterr().err == "\ninterrupted\n"
