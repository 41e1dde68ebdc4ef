"""The formats of /proc: read as proc(5) has them, and anything else is a BadAnswer."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.proc_files import (
    ABSENT,
    FUNCTIONS,
    UNREADABLE,
    decimal,
    kib,
    number,
    parse_stat,
    parse_status,
    sum_smaps,
    uptime_s,
)
from deploy.errors import BadAnswer
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script

STAT = (
    "4242 (picoclaw) S 4241 4242 4242 0 -1 4194560 311 0 2 0 17 5 0 0 20 0 6 0 123456 1234567 700 18446744073709551615"
)


def asked(board: LocalTransport, **sections: str) -> dict[str, tuple[str, int]]:
    framing = Framing.new()
    text = framing.prelude() + FUNCTIONS
    text += "".join(framing.section(name, commands) for name, commands in sections.items()) + framing.close()
    answers = parse(framing, board.run(Script("ask", text, changes=False)).stdout)
    return {section.name: (section.text, section.exit_status) for section in answers}


def test_a_stat_line_gives_the_fields_that_proc_5_numbers() -> None:
    stat = parse_stat(STAT)
    assert (stat.pid, stat.comm, stat.state, stat.parent) == (4242, "picoclaw", "S", 4241)
    assert (stat.minor_faults, stat.cpu_ticks, stat.threads, stat.start_ticks) == (311, 22, 6, 123456)


@pytest.mark.parametrize("comm", ["a b", "a) S 1 1 1", "((", "))", ") Z 0", "", "a\nb", "é", ")"])
def test_a_name_with_brackets_blanks_and_newlines_moves_no_field(comm: str) -> None:
    stat = parse_stat(STAT.replace("picoclaw", comm))
    assert (stat.pid, stat.comm, stat.state, stat.start_ticks) == (4242, comm, "S", 123456)


def test_the_stat_line_of_this_very_process_agrees_with_what_python_knows_of_it() -> None:
    stat = parse_stat(Path("/proc/self/stat").read_text())
    assert (stat.pid, stat.parent) == (os.getpid(), os.getppid())
    started_s = stat.start_ticks / os.sysconf("SC_CLK_TCK")
    assert 0 < started_s <= uptime_s(Path("/proc/uptime").read_text())
    assert stat.cpu_ticks / os.sysconf("SC_CLK_TCK") == pytest.approx(time.process_time(), abs=1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4242",
        "4242 (picoclaw",
        "4242 picoclaw) S 1",
        "(picoclaw) S 1",
        STAT.rpartition(") ")[0] + ")",
        " ".join(STAT.split()[:21]),  # cut short one field before the start time
        STAT.replace("4242 (", "-4242 ("),
        STAT.replace(" S ", " SS "),
        STAT.replace("123456 ", "12e4 "),
        STAT.replace("123456 ", "١٢٣ "),  # digits, and none of ASCII's
        STAT.replace("123456 ", "9" * 20 + " "),
    ],
)
def test_a_stat_line_that_is_none_is_a_bad_answer(text: str) -> None:
    with pytest.raises(BadAnswer):
        parse_stat(text)


def test_of_two_equal_keys_the_first_counts_so_that_nothing_appended_overrides_the_kernel() -> None:
    fields = parse_status("VmRSS:\t    1744 kB\nName:\tx\nVmRSS:\t1 kB\nno colon here\n")
    assert kib(fields, "VmRSS") == 1744
    assert kib(fields, "VmSwap") is None


@pytest.mark.parametrize(
    "value", ["", "1744", "1744 MB", "-1 kB", "17.5 kB", "0x10 kB", "1 kB 2", "9" * 16 + " kB", "٣ kB"]
)
def test_a_size_that_is_not_in_kb_is_a_bad_answer_and_no_guess(value: str) -> None:
    with pytest.raises(BadAnswer, match="VmRSS"):
        kib({"VmRSS": value}, "VmRSS")


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1 ", "1_000", "1.0", "٣", "9" * 20, "1" * 5000])
def test_what_is_no_number_is_a_bad_answer_that_names_the_question(text: str) -> None:
    with pytest.raises(BadAnswer, match="swap count"):
        number(text, "swap count")
    if text != "1.0":
        with pytest.raises(BadAnswer, match="swap count"):
            decimal(text, "swap count")


def test_uptime_is_the_first_figure_with_its_fraction() -> None:
    assert uptime_s("9451.70 18000.11") == 9451.7
    for text in ("", "x 1", "nan 1", "inf", "1e9"):
        with pytest.raises(BadAnswer, match="uptime"):
            uptime_s(text)


def test_the_entries_of_smaps_add_up_to_what_smaps_rollup_says_of_this_process() -> None:
    sums = sum_smaps(
        "a-b r-xp 0 fe:00 1 /bin/x\nRss:  12 kB\nPss: 3 kB\nVmFlags: rd ex\nc-d rw-p\nRss: 4 kB\nPss: 1 kB\n"
    )
    assert sums == {"Rss": 16, "Pss": 4}
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("this kernel has no smaps_rollup (CONFIG_PROC_PAGE_MONITOR, Linux 4.14)")
    rollup = sum_smaps(Path("/proc/self/smaps_rollup").read_text())["Rss"]
    assert sum_smaps(Path("/proc/self/smaps").read_text())["Rss"] == pytest.approx(rollup, abs=1024)


@given(st.text() | st.text("0123456789 ()SZ\n"))
def test_no_text_makes_a_parser_raise_anything_but_a_bad_answer(text: str) -> None:
    for parser in (parse_stat, uptime_s, lambda it: number(it, "x"), lambda it: kib({"a": it}, "a")):
        with contextlib.suppress(BadAnswer):
            parser(text)
    assert all(isinstance(size, int) for size in sum_smaps(text).values())
    assert all(key == key.strip() for key in parse_status(text))


def test_told_tells_what_is_not_there_from_what_this_login_may_not_read(board: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text\n")
    found = asked(
        board,
        there=f"told '{tmp_path}/file'",
        absent=f"told '{tmp_path}/nothing'",
        unreadable=f"told '{tmp_path}'",
    )
    assert found == {"there": ("text\n", 0), "absent": ("", ABSENT), "unreadable": ("", UNREADABLE)}


def test_a_link_and_a_files_first_bytes_come_back_from_a_real_shell(board: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/some where/-> else")
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 2)
    found = asked(
        board,
        link=f"target_of '{tmp_path}/link'",
        no_link=f"target_of '{tmp_path}/bytes'",
        hex=f"hex_of '{tmp_path}/bytes' 300",
        no_file=f"hex_of '{tmp_path}/nothing' 20",
    )
    assert found["link"] == ("/some where/-> else\n", 0)
    assert found["no_link"][1] == UNREADABLE
    assert bytes.fromhex("".join(found["hex"][0].split())) == (bytes(range(256)) * 2)[:300]
    assert found["no_file"][1] == ABSENT
