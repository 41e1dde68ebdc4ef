"""Processes are known by PID and start time, or by a mark in their environment; what else carries the PID is let be."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.emulator.processes import end, end_marked, marked, runs, start_ticks
from deploy.model.reading import Process

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def mark() -> str:
    return f"SLIMDEPLOY_TEST={secrets.token_hex(16)}"


@pytest.fixture
def start(mark: str) -> Iterator[Start]:
    """Starts a process that carries the mark, or another one."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*command: str, carries: str = mark) -> subprocess.Popen[bytes]:
        name, _, value = carries.partition("=")
        process = subprocess.Popen(command, env={name: value, "PATH": os.defpath}, stdout=subprocess.PIPE)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def identified(process: subprocess.Popen[bytes]) -> Process:
    ticks = start_ticks(process.pid)
    assert ticks is not None
    return Process(process.pid, ticks)


def test_a_name_full_of_parentheses_does_not_shift_the_fields(start: Start, tmp_path: Path) -> None:
    odd = tmp_path / ") Z 1 (a"
    shutil.copy(shutil.which("sleep") or "sleep", odd)
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = start_ticks(start(str(odd), "60").pid)
    assert ticks is not None and abs(ticks / os.sysconf("SC_CLK_TCK") - begun) < 2


def test_a_zombie_and_a_process_that_is_gone_do_not_run(start: Start) -> None:
    process = start("sleep", "60")
    was = identified(process)
    assert runs(was)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert start_ticks(process.pid) is None and not runs(was), "a zombie"
    process.wait()
    assert start_ticks(process.pid) is None and not runs(was), "gone"


def test_another_process_with_the_same_pid_is_not_signalled(start: Start) -> None:
    process = start("sleep", "60")
    here = identified(process)
    end(Process(here.pid, here.start_ticks - 1))
    time.sleep(0.05)
    assert process.poll() is None
    end(here)
    assert process.wait(10) < 0


def test_only_the_whole_mark_counts(start: Start, mark: str) -> None:
    carrier = start("sleep", "60")
    start("sleep", "60", carries=mark + "0")
    start("sleep", "60", carries="X" + mark)
    deadline = time.monotonic() + 5
    while not (found := list(marked(mark))) and time.monotonic() < deadline:
        time.sleep(0.01)  # until its environment is there (execve)
    assert found == [identified(carrier)]


def test_a_process_in_the_middle_of_an_exec_is_not_overlooked(start: Start, mark: str) -> None:
    again = 'exec sh -c "$0" "$0"'
    changing = start("sh", "-c", again, again)
    for _ in range(60):
        assert [found.pid for found in marked(mark)] == [changing.pid]


def test_what_takes_no_term_is_killed_after_its_grace(start: Start, mark: str) -> None:
    stubborn = start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    assert stubborn.stdout is not None and stubborn.stdout.readline() == b"ready\n"
    begun = time.monotonic()
    assert end_marked(mark, grace_s=0.3, kill_s=5) is True
    assert 0.3 <= time.monotonic() - begun < 5
    assert not list(marked(mark))


def test_what_a_process_starts_in_its_last_moment_is_ended_too(start: Start, mark: str) -> None:
    parent = start(
        "sh", "-c", "trap 'setsid sleep 60 >/dev/null & exit' TERM; echo ready; while :; do sleep 0.05; done"
    )
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    assert end_marked(mark, grace_s=5, kill_s=5) is True
    assert not list(marked(mark))


def test_a_process_that_is_named_is_ended_without_a_mark(start: Start, mark: str) -> None:
    named, bystander = start("sleep", "60", carries="NO=mark"), start("sleep", "60", carries="NO=mark")
    stale = Process(bystander.pid, identified(bystander).start_ticks - 1)
    assert end_marked(mark, 5, 5, identified(named), stale) is True
    assert named.wait(10) < 0 and bystander.poll() is None


def test_nothing_marked_is_no_wait(mark: str) -> None:
    begun = time.monotonic()
    assert end_marked(mark, grace_s=5, kill_s=5) is True
    assert time.monotonic() - begun < 1
