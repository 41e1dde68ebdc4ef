"""What CPU time a process used, and how long a tick is: of this machine, and from other kinds of vectors."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.board_shell.cpu_time import cpu_time_script, parse_cpu_time, parse_ticks_a_second, ticks_script
from deploy.board_shell.framing import Framing
from deploy.errors import BadAnswer
from deploy.transport.local import LocalTransport


def test_this_machines_ticks_are_what_sysconf_says() -> None:
    answer = LocalTransport().run(ticks_script())
    assert parse_ticks_a_second(answer.stdout) == os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("form", ["<Q", ">Q", "<I", ">I"])
@pytest.mark.parametrize("ticks", [100, 250, 1024])
def test_every_word_size_and_byte_order_is_read(form: str, ticks: int) -> None:
    pairs = [(33, 2**31 - 4096), (16, 0x1F), (6, 16384), (17, ticks), (3, 4096), (25, 2**31 - 5), (0, 0)]
    vector = b"".join(struct.pack(form, word) for pair in pairs for word in pair)
    assert parse_ticks_a_second(vector) == ticks


@pytest.mark.parametrize("answer", [b"", b"\0" * 64, b"cat: /proc/self/auxv: No such file", b"\x11" * 333])
def test_what_is_no_vector_is_refused_and_never_taken_for_100(answer: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_ticks_a_second(answer)


def test_a_vector_without_the_ticks_is_refused() -> None:
    with pytest.raises(BadAnswer):
        parse_ticks_a_second(struct.pack("<QQQQ", 6, 4096, 0, 0))


def test_a_process_that_works_uses_ticks() -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-Ic", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"\n"
        framing = Framing.new()
        found = parse_cpu_time(framing, LocalTransport().run(cpu_time_script(framing, process.pid)).stdout)
        process.communicate(b"\n")
    assert found is not None and found.process.pid == process.pid
    assert 0.15 <= found.ticks / os.sysconf("SC_CLK_TCK") <= 5
    assert found.ceiling_bytes is None or found.ceiling_bytes > 1 << 20


def test_a_process_that_is_gone_has_none() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait(10)
    assert not Path(f"/proc/{process.pid}").exists()
    framing = Framing.new()
    assert parse_cpu_time(framing, LocalTransport().run(cpu_time_script(framing, process.pid)).stdout) is None
