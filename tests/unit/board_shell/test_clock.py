"""The clock's script, run by a real shell with `date` programs that take what each kind of them takes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.board_shell.clock import parse_clock, set_clock_script
from deploy.errors import BadAnswer

NOW_S = 1_795_453_509  # 2026-11-23 17:05:09 UTC

# What each takes, after its own help: GNU coreutils and BusyBox -s, old toybox the POSIX form alone.
DATES = {
    "gnu and busybox": '[ "$1 $2 $3" = "-u -s 2026-11-23 17:05:09" ]',
    "old toybox": '[ "$1 $2" = "-u 112317052026.09" ]',
    "not root": "{ echo 'date: cannot set date: Operation not permitted' >&2; false; }",
}


def run(folder: Path, accepts: str) -> subprocess.CompletedProcess[bytes]:
    (folder / "date").write_text(
        f"""#!/bin/sh
if [ "$1" = +%s ]; then cat "{folder}/clock"; exit; fi
{accepts} && echo {NOW_S} >"{folder}/clock"
"""
    )
    (folder / "date").chmod(0o755)
    (folder / "clock").write_text("42\n")
    script = set_clock_script(NOW_S)
    path = f"{folder}:/usr/bin:/bin"
    return subprocess.run(
        ["sh"], input=script.text.encode(), env={"PATH": path}, capture_output=True, timeout=20, check=False
    )


@pytest.mark.parametrize("kind", DATES)
def test_the_clock_is_set_in_the_words_of_every_date_and_read_back(kind: str, tmp_path: Path) -> None:
    done = run(tmp_path, DATES[kind])
    assert done.returncode == 0
    assert parse_clock(done.stdout) == (42 if kind == "not root" else NOW_S)
    assert (b"not permitted" in done.stderr) is (kind == "not root")


def test_a_date_of_this_machine_reads_the_form_as_the_same_second() -> None:
    """`date -d` reads what `date -s` would set."""
    text = set_clock_script(NOW_S).text.partition("-s '")[2].partition("'")[0]
    done = subprocess.run(["date", "-u", "-d", text, "+%s"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this machine's date has no -d")
    assert int(done.stdout) == NOW_S


@pytest.mark.parametrize("answer", [b"", b"clock \n", b"clock soon\n", b"the clock 12\n"])
def test_what_is_no_time_is_no_answer(answer: bytes) -> None:
    with pytest.raises(BadAnswer, match="what its clock shows"):
        parse_clock(answer)


def test_what_a_login_script_says_before_is_not_the_answer() -> None:
    assert parse_clock(b"welcome\nclock 7\nclock 1795453509\n") == NOW_S
