"""How published figures went wrong, done again for real, with nothing claimed that would give the trap away by itself.

A user who gives only a PID claims no hash, no limits and no supervisor: what the kernel shows has to be enough.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from gateways import Gateways
from readings import failed, idle_of, names_no_figure, proven, recorded_answer, recorded_subject, sample

from deploy.board_shell.health import Health
from deploy.board_shell.samples import Pace
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.kernel_proof import rounding_step_kib
from deploy.memory.live import did_the_work
from deploy.memory.sampling import observe, reset_peak
from deploy.memory.second_instance import make_token
from deploy.memory.subject import Subject
from deploy.memory.wrappers import is_wrapper
from deploy.model.reading import Process, Reading
from deploy.model.verdict import Budget, Outcome
from deploy.telegram.served import ServedBotApi
from deploy.transport.local import LocalTransport

LARGE = Budget(rss_kib=1 << 30)
SHORT = Pace(steady=3, interval_s=0.01, settle_s=2, most=6)


def only_a_pid(gateways: Gateways, pid: int) -> Subject:
    return Subject(gateways.layout, sha256=None, limits=None, pid=pid, ours=False)


def reading_of_pid(gateways: Gateways, pid: int) -> Reading:
    return idle_reading(LocalTransport(), only_a_pid(gateways, pid), pace=SHORT)


def refusal(reading: Reading) -> str:
    """The reason of NOT MEASURED; another outcome, or a figure in it, fails the test."""
    verdict = judge(reading, LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED, verdict
    assert names_no_figure(verdict), verdict.reason
    return verdict.reason


# --- 1: wrong process


@pytest.mark.parametrize(
    "wrapper",
    [
        pytest.param(["sh", "-c", '"$@" & wait', "sh"], id="sh"),
        pytest.param(["env", "timeout", "1000"], id="env timeout"),
        pytest.param([sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"], id="python"),
        pytest.param(["/usr/bin/time", "-v"], id="time", marks=pytest.mark.install_check),
        pytest.param(["strace", "-f", "-o", "/dev/null"], id="strace", marks=pytest.mark.install_check),
    ],
)
def test_the_pid_of_a_wrapper_is_refused_and_the_pid_of_its_child_is_measured(
    gateways: Gateways, wrapper: list[str]
) -> None:
    if shutil.which(wrapper[0]) is None:
        pytest.skip(f"{wrapper[0]} is not installed (apt-get install time strace)")
    started = gateways.spawn(*wrapper, str(gateways.binary), "1000", environment={"PATH": os.environ["PATH"]})
    child = gateways.child_of(started.pid)
    reading = reading_of_pid(gateways, started.pid)
    assert failed(reading) == {"right_process", "not_a_wrapper"}
    assert refusal(reading).startswith(f"wrong process: PID {started.pid} is ")
    of_the_child = reading_of_pid(gateways, child)
    assert failed(of_the_child) == set()
    assert judge(of_the_child, LARGE).outcome is Outcome.PASS


def test_env_replaces_itself_so_its_pid_is_the_gateways(gateways: Gateways) -> None:
    started = gateways.spawn("env", "-i", str(gateways.binary), "1000")
    gateways.runs(started.pid)
    assert failed(reading_of_pid(gateways, started.pid)) == set()


@pytest.mark.parametrize(
    "name",
    ["coreutils", "sudo-rs", "box64", "box86", "FEXInterpreter", "rosetta", "qemu-mipsel", "busybox", "memcheck-amd64"],
)  # fmt: skip
def test_multi_call_programs_and_emulators_are_wrappers_under_whatever_name_they_were_called(name: str) -> None:
    # timeout of a coreutils built as one program, and a translated binary, show this name in /proc/PID/exe
    assert is_wrapper(name)
    seen = recorded_answer()
    for when in ("before", "after"):
        seen = seen.replaced(f"{when}_exe", f"/usr/bin/{name}")
    reading = idle_of(seen, subject=recorded_subject(sha256=None))
    assert {"right_process", "not_a_wrapper"} <= failed(reading)
    assert "which runs other programs" in refusal(reading)


def test_a_deleted_wrapper_is_still_a_wrapper() -> None:
    seen = recorded_answer()
    for when in ("before", "after"):
        seen = seen.replaced(f"{when}_exe", "/usr/bin/time (deleted)")
    assert refusal(idle_of(seen)).startswith("wrong process: ")


# --- 2: a program that never ran, and one that runs no more


def test_a_process_that_has_ended_and_was_waited_for_is_gone(gateways: Gateways) -> None:
    ended = gateways.spawn(str(gateways.binary), "0")
    ended.wait(10)
    reading = reading_of_pid(gateways, ended.pid)
    assert {"right_process", "same_process", "alive", "executable", "settled"} <= failed(reading)
    assert reading.samples == ()
    assert refusal(reading).startswith(f"it does not run: there is no process {ended.pid}")


def test_a_process_that_ends_between_two_samples_was_not_measured(gateways: Gateways) -> None:
    started = gateways.spawn(str(gateways.binary), "1000")
    gateways.runs(started.pid)
    transport, subject = LocalTransport(), only_a_pid(gateways, started.pid)
    alive = observe(transport, subject, SHORT)
    started.kill()
    started.wait(10)
    reading = idle_of(alive, observe(transport, subject, SHORT), subject=subject)
    assert {"same_process", "executable", "settled"} <= failed(reading)
    assert refusal(reading).startswith("the process was gone before the last sample")


def test_the_same_pid_with_other_start_ticks_is_another_process(gateways: Gateways) -> None:
    started = gateways.spawn(str(gateways.binary), "1000")
    gateways.runs(started.pid)
    now = observe(LocalTransport(), only_a_pid(gateways, started.pid), SHORT)
    assert now.before.process is not None
    earlier = Process(started.pid, now.before.process.start_ticks - 1)
    subject = replace(only_a_pid(gateways, started.pid), process=earlier)
    reading = idle_of(now, subject=subject)
    assert failed(reading) == {"right_process"}
    assert "is not the process that was started" in refusal(reading)
    assert not reset_peak(LocalTransport(), earlier)  # nor is anything of the stranger touched


# --- 3: messages that never arrived


def test_messages_that_the_bot_sent_itself_are_no_messages_to_the_bot() -> None:
    token = make_token()
    with ServedBotApi(token) as api:
        trust = ssl.create_default_context(cadata=api.ca_pem.decode())
        for _ in range(3):
            url = f"{api.base_url}/bot{token.reveal().decode()}/sendMessage"
            asked = urllib.request.Request(url, b'{"chat_id":1,"text":"hello"}', {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(asked, context=trust, timeout=10) as answer:
                    answer.read()
            except urllib.error.HTTPError as refused:  # a chat that never wrote to the bot
                refused.close()
        seen = api.user_side.counts()
        assert (seen.injected, seen.delivered, seen.answered) == (0, 0, 0)
        nobody_polls = api.user_side.burst(3, deadline_s=0.2)
    assert (nobody_polls.sent, nobody_polls.delivered, nobody_polls.answered) == (3, 0, 0)
    own = Health(
        ready=True, version="1", pid=42, uptime_s=9, inbound=0, outbound=3, errors=0,
        telegram_state="ok", telegram_detail="", tls="",
    )  # fmt: skip
    proof = did_the_work(Process(42, 7), 3, nobody_polls, replace(own, outbound=0), own)
    assert not proof.ok
    assert proof.detail == "3 messages sent, 0 received, 0 answered: the counts of both sides do not agree"
    live = proven(sample(1000, rollup_kib=1000), kind="live")
    kept = tuple(each for each in live.evidence if each.name != "did_the_work")
    assert judge(live, LARGE).outcome is Outcome.PASS
    assert refusal(replace(live, evidence=(*kept, proof))) == proof.detail


# --- 4: a kernel that rounds


@pytest.mark.parametrize(
    ("page_kib", "figures", "step"),
    [
        (4, (3072, 3072, 1024, 2048), 1024),
        (4, (2304, 2560, 256), 256),
        (4, (2304, 2560, 128), None),
        (4, (3072, 3072, 1024, 2052), None),
        (64, (2304, 2560, 512), None),  # honest counts of large pages
        (64, (3072, 1024), 1024),
        (None, (3072, 1024), 1024),  # a page size that nobody knows: held to the largest that is in use
        (None, (2560, 512), None),
        (4, (0, 0), None),  # nothing resident says nothing
        (4, (0, 3072), 1024),
    ],
)
def test_a_step_is_suspicious_only_where_it_is_far_more_than_a_page(
    page_kib: int | None, figures: tuple[int, ...], step: int | None
) -> None:
    kernel = replace(recorded_answer().observation().kernel, page_kib=page_kib, shell_sizes_kib=())
    assert rounding_step_kib(kernel, figures) == step


def header(machine: int, *, big_endian: bool = False) -> str:
    """The first 20 bytes of an ELF file in hex: e_machine is the half word at 18, in the byte order of byte 5."""
    order = "big" if big_endian else "little"
    return b"".join((b"\x7fELF", bytes([1, 2 if big_endian else 1]), bytes(12), machine.to_bytes(2, order))).hex()


@pytest.mark.parametrize(
    ("machine", "elf", "emulated"),
    [
        ("x86_64", header(62), False),
        ("x86_64", header(3), False),  # a 32-bit program needs no emulator there
        ("i686", header(62), True),
        ("aarch64", header(40), False),
        ("aarch64", header(62), True),
        ("armv7l", header(40), False),
        ("armv7l", header(183), True),
        ("riscv64", header(243), False),
        ("riscv64", header(183), True),
        ("mips", header(8, big_endian=True), False),
        ("mips", header(40, big_endian=True), True),
        ("sparc64", header(62), False),  # a machine that nobody here knows speaks for nothing
        ("riscv64", "", False),  # nor does a board without a tool that shows bytes
        ("riscv64", header(62)[:38], False),
        ("riscv64", "2321" + header(62)[4:], False),  # "#!": no ELF file
    ],
)
def test_an_executable_for_another_machine_is_run_by_an_emulator(machine: str, elf: str, emulated: bool) -> None:
    seen = recorded_answer().edited("uname", r"^x86_64$", machine)
    seen = seen.replaced("shell_elf", "").replaced("before_elf", elf)
    reading = idle_of(seen, subject=recorded_subject(sha256=None))
    assert failed(reading) == ({"real_kernel"} if emulated else set())
    if emulated:
        assert refusal(reading) == f"the process's executable is not for {machine}: a user-mode emulator runs it"


def test_this_machines_kernel_counts_pages(gateways: Gateways) -> None:
    started = gateways.spawn(str(gateways.binary), "1000")
    gateways.runs(started.pid)
    proof = next(each for each in reading_of_pid(gateways, started.pid).evidence if each.name == "real_kernel")
    assert (proof.ok, proof.detail) == (True, f"Linux {os.uname().release} on {os.uname().machine}")


# --- 5: sampled once, after the load


def test_the_peak_is_seen_after_the_memory_was_given_back_and_can_be_set_back(gateways: Gateways) -> None:
    dash = os.path.realpath(shutil.which("sh") or "/bin/sh")
    if Path(dash).name != "dash":
        pytest.skip("sh is not dash here, and others keep what they have freed (apt-get install dash)")
    shutil.copy(dash, gateways.binary)
    fifo = gateways.folder / "fifo"
    os.mkfifo(fifo)
    grow = 'x=$(head -c 8000000 /dev/zero | tr \'\\0\' x); unset x; :>"$0.done"; read -r x <"$0"'
    started = gateways.spawn(str(gateways.binary), "-c", grow, str(fifo), environment={"PATH": os.environ["PATH"]})
    gateways.wait_for(lambda: Path(f"{fifo}.done").exists())
    before = reading_of_pid(gateways, started.pid)
    assert before.rss_kib is not None
    assert before.hwm_kib is not None
    assert before.hwm_kib > before.rss_kib + 4000
    assert judge(before, Budget(rss_kib=before.hwm_kib - 1)).outcome is Outcome.PASS
    assert judge(before, Budget(rss_kib=before.hwm_kib - 1, hwm_kib=before.hwm_kib - 1)).outcome is Outcome.FAIL
    assert reset_peak(LocalTransport(), before.samples[0].process)
    after = reading_of_pid(gateways, started.pid)
    assert after.hwm_kib is not None
    assert after.hwm_kib < before.hwm_kib - 4000


# --- 6: a limit that is a wish


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ("GOMEMLIMIT=5MiB\nGOGC=20\nGOMAXPROCS=1", set()),
        ("GOMEMLIMIT=5120KiB\nGOGC=20\nGOMAXPROCS=1", set()),
        ("GOMEMLIMIT=5MB\nGOGC=20\nGOMAXPROCS=1", {"limits"}),
        ("GOMEMLIMIT=off\nGOGC=20\nGOMAXPROCS=1", {"limits"}),
        ("GOMEMLIMIT=\nGOGC=20\nGOMAXPROCS=1", {"limits"}),
        # a number for the runtime and no size: it would take its default instead of these
        ("GOMEMLIMIT=5MiB\nGOGC=20B\nGOMAXPROCS=1", {"limits"}),
        ("GOMEMLIMIT=5MiB\nGOGC= 20\nGOMAXPROCS=1", {"limits"}),
        ("GOMEMLIMIT=5MiB\nGOGC=20\nGOMAXPROCS=1.0", {"limits"}),
        ("GOMEMLIMIT=5MiB\nGOGC=20\nGOMAXPROCS=2", {"limits"}),
        ("", {"limits"}),
    ],
)
def test_only_limits_that_the_runtime_takes_as_they_were_asked_for_are_in_force(
    environment: str, missing: set[str]
) -> None:
    reading = idle_of(recorded_answer().replaced("before_environ", environment))
    assert failed(reading) == missing
    assert judge(reading, LARGE).outcome is (Outcome.NOT_MEASURED if missing else Outcome.PASS)


def test_the_limits_are_read_from_the_process_and_not_from_the_caller(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in gateways.subject().limits.environment().items():  # type: ignore[union-attr]
        monkeypatch.setenv(name, value)
    started = gateways.spawn(str(gateways.binary), "1000", environment={"PATH": os.environ["PATH"], "GOGC": "20"})
    gateways.runs(started.pid)
    subject = replace(gateways.subject(pid=started.pid), ours=False)
    reading = idle_reading(LocalTransport(), subject, pace=SHORT)
    assert failed(reading) == {"limits"}
    assert refusal(reading) == "GOMEMLIMIT is not set in its environment"


# --- 7: a binary that nobody can name


def test_a_binary_that_was_replaced_in_place_is_told_by_its_hash_not_by_its_path(gateways: Gateways) -> None:
    deployed = gateways.sha256
    with gateways.binary.open("ab") as file:
        file.write(b"one byte more")
    started = gateways.spawn(str(gateways.binary), "1000")
    gateways.runs(started.pid)
    subject = replace(only_a_pid(gateways, started.pid), sha256=deployed)
    reading = idle_reading(LocalTransport(), subject, pace=SHORT)
    assert failed(reading) == {"right_process", "executable"}
    assert "is not the artifact" in refusal(reading)


def test_without_an_artifact_the_hash_is_recorded_for_others_to_compare(gateways: Gateways) -> None:
    started = gateways.spawn(str(gateways.binary), "1000")
    gateways.runs(started.pid)
    proof = next(each for each in reading_of_pid(gateways, started.pid).evidence if each.name == "executable")
    assert gateways.sha256 in proof.detail
    assert "no artifact was given" in proof.detail


def test_a_deleted_executable_proves_nothing_even_where_nothing_is_claimed(gateways: Gateways) -> None:
    started = gateways.spawn(str(gateways.binary), "1000")
    gateways.runs(started.pid)
    gateways.binary.unlink()
    reading = reading_of_pid(gateways, started.pid)
    assert failed(reading) == {"executable"}
    assert refusal(reading) == "the file that it executes has been deleted or replaced"


def test_nothing_that_a_reading_asks_changes_the_process(gateways: Gateways) -> None:
    started = gateways.spawn(str(gateways.binary), "1000")
    gateways.runs(started.pid)
    reading_of_pid(gateways, started.pid)
    assert started.poll() is None
    assert subprocess.run(["kill", "-0", str(started.pid)], check=False).returncode == 0
