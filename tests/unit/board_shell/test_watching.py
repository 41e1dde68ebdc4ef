"""The loop on the board: what it reads is what the kernel says, in every shell; and nobody has to end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shells import BusyBoxTransport, DashTransport

from deploy.board_shell.watching import Ended, NotThere, Pause, Taken, parse_line, watching_script
from deploy.model.layout import Layout
from deploy.model.reading import Process
from deploy.model.watching import Glimpse
from deploy.transport.local import LocalTransport

QUICK = Pause(0.05, 60)
NOWHERE = Layout("/nonexistent")


@pytest.fixture(params=["sh", "dash", "BusyBox"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> LocalTransport:
    if request.param == "BusyBox":
        return BusyBoxTransport(tmp_path / "applets")
    return DashTransport() if request.param == "dash" else LocalTransport()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with python("pass") as process:
        yield process
        process.kill()


def python(first: str) -> subprocess.Popen[bytes]:
    """A Python process that has done what comes first, and sleeps."""
    program = f"import pathlib, time; {first}; print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"\n"
    return process


def ticks_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def said_by(shell: LocalTransport, most: int, pid: int | None, layout: Layout = NOWHERE, pause: Pause = QUICK) -> list:
    script = watching_script("mark", layout, None, pid, pause)
    with shell.stream(script, 10) as lines:
        return [parse_line("mark", line) for line, _ in zip(lines, range(most), strict=False)]


def test_a_look_is_what_the_kernel_says(shell: LocalTransport, sleeper: subprocess.Popen[bytes]) -> None:
    first, second = said_by(shell, 2, sleeper.pid)
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{sleeper.pid}/status").read_text().splitlines() if ":" in line
    )
    kib = {key: int(value.split()[0]) for key, value in status.items() if value.endswith(" kB")}
    for look in (first, second):
        assert isinstance(look, Glimpse)
        assert look.process == Process(sleeper.pid, ticks_of(sleeper.pid))
        assert abs(look.vm_rss_kib - kib["VmRSS"]) <= 256 and look.vm_hwm_kib and look.vm_hwm_kib >= look.vm_rss_kib
        assert (look.rss_anon_kib or 0) + (look.rss_file_kib or 0) + (look.rss_shmem_kib or 0) == look.vm_rss_kib
        assert look.state in "SR" and look.threads == 1 and look.vm_swap_kib == kib["VmSwap"]
    assert first.pss_kib is not None and 0 < first.pss_kib <= first.vm_rss_kib, "asked at the first look"
    assert second.pss_kib is None, "and not at every look"


def test_a_name_with_brackets_blanks_and_newlines_shifts_no_field(shell: LocalTransport, tmp_path: Path) -> None:
    with python("pathlib.Path('/proc/self/comm').write_text('a) R 1 (\\nx) 9')") as process:
        try:
            assert "\n" in Path(f"/proc/{process.pid}/comm").read_text().rstrip("\n")
            look, _ = said_by(shell, 2, process.pid)
            assert isinstance(look, Glimpse) and look.process == Process(process.pid, ticks_of(process.pid))
        finally:
            process.kill()


def test_the_pid_file_is_followed_at_every_look(
    shell: LocalTransport, sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    layout = Layout(str(tmp_path / "prefix"))
    Path(layout.run).mkdir(parents=True)
    pid_file = Path(layout.pid_file)
    with shell.stream(watching_script("mark", layout, None, None, QUICK), 10) as lines:
        assert isinstance(parse_line("mark", next(lines)), NotThere)
        pid_file.write_text(f"{sleeper.pid} {ticks_of(sleeper.pid)}\n")
        assert any(isinstance(parse_line("mark", line), Glimpse) for line, _ in zip(lines, range(20), strict=False))
        pid_file.write_text(f"{sleeper.pid} 12345\n")  # what a reboot leaves: the PID is another one's now
        assert any(isinstance(parse_line("mark", line), NotThere) for line, _ in zip(lines, range(20), strict=False))
        pid_file.write_text("; rm -rf / #\n")
        assert isinstance(parse_line("mark", next(lines)), NotThere)


def test_another_process_with_the_same_pid_is_not_taken_for_it(sleeper: subprocess.Popen[bytes]) -> None:
    script = watching_script("mark", NOWHERE, Process(sleeper.pid, 5), sleeper.pid, QUICK)
    with LocalTransport().stream(script, 10) as lines:
        assert isinstance(parse_line("mark", next(lines)), NotThere)


def test_a_process_that_ended_and_a_zombie_are_not_there(shell: LocalTransport) -> None:
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is there until we ask how
        assert isinstance(said_by(shell, 1, zombie.pid)[0], NotThere)
        zombie.wait()
        assert isinstance(said_by(shell, 1, zombie.pid)[0], NotThere)


def test_it_tells_what_it_takes_and_comes_to_its_own_end(shell: LocalTransport) -> None:
    said = said_by(shell, 1000, os.getpid(), pause=Pause(0.1, 2))
    taken, ended = said[-2:]
    assert isinstance(ended, Ended) and isinstance(taken, Taken)
    assert taken.looks == len([each for each in said if isinstance(each, Glimpse)]) + 1
    assert taken.cpu_ms < 1000 and taken.hwm_kib and 200 < taken.hwm_kib < 8192


@pytest.mark.parametrize("ignored", [False, True], ids=["SIGPIPE", "SIGPIPE-ignored"])
@pytest.mark.parametrize("argv", [["sh"], ["dash"], ["busybox", "sh"]], ids=lambda argv: argv[0])
def test_it_ends_by_itself_when_nobody_reads_it_any_more(argv: list[str], ignored: bool) -> None:
    text = watching_script("mark", NOWHERE, None, os.getpid(), QUICK).text
    mind = "" if not ignored else "trap '' PIPE; "  # POSIX: what is ignored stays so in what is started
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(["sh", "-c", f'{mind}exec "$@"', "x", *argv, "-c", text], stdout=writer)
    except OSError:
        os.close(reader)
        pytest.skip(f"{argv[0]} is not installed")
    finally:
        os.close(writer)
    assert os.read(reader, 10)
    os.close(reader)
    try:
        assert process.wait(5) in (0, -signal.SIGPIPE)
    finally:
        process.kill()


@pytest.mark.parametrize(
    "line",
    [
        b"Welcome to the board!",
        b"other look 1.00 1 2 S 0 0 1 9 - - - - - -",
        b"mark look 1.00 1 2 S 0 0 1 - - - - - - -",
        b"mark look 1.00 1 2 S 0 0 1 9 - - - - -",
        b"mark look nan 1 2 S 0 0 1 9 - - - - - -",
        b"mark look 1.00 1 2 S 0 0 1 -9 - - - - - -",
        b"mark look 1.00 1 2 S 0 0 1 9999999999999999 - - - - - -",
        b"mark gone \xff\x1b[2J",
        b"mark cost 1 2 3",
        b"",
    ],
)
def test_what_the_loop_did_not_write_is_passed_over(line: bytes) -> None:
    assert parse_line("mark", line) is None


def test_a_kernel_without_the_newer_figures_says_so_with_none() -> None:
    look = parse_line("mark", b"mark look 1.00 1 2 S 3 4 1 900 - - - - - -\r")
    assert isinstance(look, Glimpse)
    assert (look.vm_rss_kib, look.vm_hwm_kib, look.rss_anon_kib, look.pss_kib, look.cpu_ticks) == (
        900,
        None,
        None,
        None,
        7,
    )


@pytest.mark.parametrize(("interval_s", "every"), [(0.2, 50), (1.0, 10), (3.0, 4), (10.0, 1), (60.0, 1)])
def test_the_page_tables_are_walked_every_ten_seconds_at_most(interval_s: float, every: int) -> None:
    assert Pause(interval_s, 60).pages_every == every
