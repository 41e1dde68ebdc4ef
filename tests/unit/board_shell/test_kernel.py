"""What a board says of its kernel: against what this machine knows of itself, and with every answer bent."""

from __future__ import annotations

import contextlib
import os
import platform
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import CASES, FRAMING, Answer

from deploy.board_shell import kernel
from deploy.board_shell.framing import Framing
from deploy.board_shell.framing import parse as parse_frames
from deploy.board_shell.kernel import Kernel
from deploy.board_shell.proc_files import FUNCTIONS
from deploy.errors import BadAnswer
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script

QUESTIONS = (
    "uname",
    "version",
    "page",
    "cpus",
    "most_cpus",
    "thp",
    "meminfo",
    "swaps",
    "container",
    "controllers",
    "controllers_v1",
    "top",
    "shell",
    "shell_elf",
    "clock",
)


def parsed(answer: Answer) -> Kernel:
    return kernel.parse(parse_frames(FRAMING, answer.text.encode()))


def said(section: str, body: str, status: int = 0) -> Kernel:
    """The kernel of the recorded answer with one section's text changed."""
    return parsed(Answer.of(CASES[0]).replaced(section, body, status))


def test_this_machines_kernel_is_told_as_python_knows_it(board: LocalTransport) -> None:
    framing = Framing.new()
    text = framing.prelude() + FUNCTIONS + kernel.questions(framing) + framing.close()
    before = time.time()
    ended = board.run(Script("ask", text, changes=False))
    found = kernel.parse(parse_frames(framing, ended.stdout))
    assert (found.release, found.machine) == (platform.release(), platform.machine())
    assert found.version == Path("/proc/version").read_text().strip()
    assert found.page_kib == os.sysconf("SC_PAGE_SIZE") // 1024
    assert found.mem_total_kib == int(Path("/proc/meminfo").read_text().split()[1])
    assert before - 2 <= found.clock_s <= time.time() + 2
    assert found.up_s == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=10)
    assert found.shell_elf[:4] == b"\x7fELF"
    assert found.numbers is not None
    assert len(found.swaps) == len(Path("/proc/swaps").read_text().splitlines()) - 1
    assert {"vmstat", "interrupts"} <= set(found.top_files)
    assert len(found.shell_sizes_kib) >= 2


@pytest.mark.parametrize("case", CASES)
def test_recorded_kernels_are_read_whole(case: str) -> None:
    found = parsed(Answer.of(case))
    assert found.numbers is not None
    assert case.removeprefix("linux-").split("-")[0].split(".") == [str(part) for part in found.numbers]
    assert found.page_kib in (4, 16, 64)
    assert found.mem_total_kib
    assert len(found.shell_sizes_kib) == 4
    assert all(found.shell_sizes_kib)


@pytest.mark.parametrize(
    ("release", "numbers"),
    [("6.12.48", (6, 12)), ("5.10-rc1", (5, 10)), ("4.4.194+", (4, 4)), ("six", None), ("", None), ("6", None)],
)
def test_the_releases_numbers(release: str, numbers: tuple[int, int] | None) -> None:
    assert said("uname", f"{release}\nriscv64").numbers == numbers


def auxv(form: str, entries: list[tuple[int, int]]) -> str:
    return " ".join(f"{byte:02x}" for entry in entries for byte in struct.pack(form, *entry))


@pytest.mark.parametrize(("form", "elf"), [("<QQ", "0201"), (">QQ", "0202"), ("<II", "0101"), (">II", "0102")], ids=str)
@pytest.mark.parametrize("page", [4096, 16384, 65536])
def test_without_getconf_the_page_size_comes_from_the_auxiliary_vector_of_any_width_and_order(
    form: str, elf: str, page: int
) -> None:
    answer = Answer.of(CASES[0]).replaced("page", "", 2).replaced("shell_elf", f"7f454c46{elf}" + "00" * 14)
    entries = [(33, 12345), (6, page), (17, 100), (0, 0)]
    assert parsed(answer.replaced("auxv", auxv(form, entries))).page_kib == page // 1024
    assert parsed(answer.replaced("auxv", auxv(form, entries[:1]))).page_kib is None
    assert parsed(answer.replaced("auxv", "", 2)).page_kib is None
    assert parsed(answer.replaced("auxv", "06 00 0")).page_kib is None


@pytest.mark.parametrize("said_size", ["1", "1000", "4097", "2048", "524288", "0"])
def test_what_no_linux_has_as_page_size_is_none(said_size: str) -> None:
    assert said("page", said_size).page_kib is (4 if said_size == "0" else None)  # 0: the auxiliary vector tells


@pytest.mark.parametrize(
    ("possible", "cpus"),
    [("0", 1), ("0-3", 4), ("0-1,4-5", 6), ("", None), ("none", None), ("0-", None), ("9" * 50, None)],
)
def test_the_highest_possible_cpu_counts(possible: str, cpus: int | None) -> None:
    assert said("cpus", possible).cpus == cpus
    assert said("most_cpus", possible).most_cpus == cpus
    assert said("cpus", possible, 2).cpus is None


def test_the_setting_in_brackets_is_the_one_in_force() -> None:
    assert said("thp", "always madvise [never]").thp == "never"
    assert said("thp", "always madvise never").thp == ""
    assert said("thp", "", 2).thp == ""


def test_swap_is_told_by_size_and_base_names() -> None:
    found = said("swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 100\n/swap file 1 0 -2")
    assert found.swaps == ("zram0", "swap")
    assert said("meminfo", "MemTotal: 60000 kB\nSwapTotal: 12 kB").swap_total_kib == 12
    assert said("meminfo", "MemTotal: 60000 kB").swap_total_kib is None
    assert said("swaps", "", 2).swaps == ()


@pytest.mark.parametrize(
    ("v2", "v1", "controller"),
    [
        ("cpu memory pids", "", "v2"),
        ("cpu memory pids", "memory 0 1 1", "v2"),
        ("cpu pids", "memory 4 11 1", "v1"),
        ("cpu pids", "memory 0 1 1", ""),  # compiled in, mounted nowhere
        ("", "memory 4 11 0", ""),  # cgroup_disable=memory
        ("", "", ""),
    ],
)
def test_which_memory_controller_is_in_force(v2: str, v1: str, controller: str) -> None:
    answer = Answer.of(CASES[0]).replaced("controllers", v2).replaced("controllers_v1", v1)
    assert parsed(answer).memory_controller == controller


def test_what_says_that_this_is_a_container_is_kept_once_each() -> None:
    assert said("container", "docker\npodman\ndocker").container == "docker podman"
    assert said("container", "").container == ""


def test_sizes_that_the_shell_does_not_have_are_left_out() -> None:
    assert said("shell", "VmRSS:\t 1744 kB\nRssFile:\t 12 kB").shell_sizes_kib == (1744, 12)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_missing_answer_is_a_bad_answer(question: str) -> None:
    with pytest.raises(BadAnswer, match=question):
        parsed(Answer.of(CASES[0]).without(question))


@pytest.mark.parametrize(
    ("section", "body"),
    [("clock", ""), ("clock", "now\n1.0 2.0"), ("clock", "1700000000"), ("clock", "-5\n1 2"), ("page", "4k")],
)
def test_an_answer_of_another_form_is_a_bad_answer(section: str, body: str) -> None:
    with pytest.raises(BadAnswer):
        said(section, body)


@settings(deadline=None)
@given(
    question=st.sampled_from((*QUESTIONS, "auxv")), body=st.binary(max_size=60), status=st.sampled_from([0, 1, 2, 3])
)
def test_whatever_one_answer_holds_it_is_a_kernel_or_a_bad_answer(question: str, body: bytes, status: int) -> None:
    text = Answer.of(CASES[0]).replaced(question, "BODY", status).text.encode().replace(b"BODY", body)
    with contextlib.suppress(BadAnswer):
        kernel.parse(parse_frames(FRAMING, text))
