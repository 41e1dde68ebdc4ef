"""Who stands behind a PID: read from recorded answers, and asked of real processes through real shells."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from recorded import CASES, FRAMING, Answer

from deploy.board_shell import identity
from deploy.board_shell.framing import Framing
from deploy.board_shell.framing import parse as parse_frames
from deploy.board_shell.identity import Identity
from deploy.board_shell.proc_files import FUNCTIONS, parse_stat
from deploy.board_shell.shell_functions import HASH, MANAGER, SOFT_LIMITS_OF
from deploy.errors import BadAnswer
from deploy.model.reading import Process
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script

QUESTIONS = ("stat", "exe", "sha", "elf", "argv", "environ", "recorded", "supervisor", "supervising", "manager")


def ask(board: LocalTransport, pid: int | str, folder: Path) -> tuple[Identity, bytes]:
    """The identity, and everything that came back for it."""
    framing = Framing.new()
    text = framing.prelude() + FUNCTIONS + HASH + MANAGER + SOFT_LIMITS_OF
    text += f"pid={pid} pid_file='{folder}/gateway.pid' supervisor_pid_file='{folder}/supervisor.pid'\n"
    text += identity.questions(framing, "now") + framing.close()
    ended = board.run(Script("ask", text, changes=False))
    return identity.parse(parse_frames(framing, ended.stdout), "now"), ended.stdout


def parsed(answer: Answer, when: str = "before") -> Identity:
    return identity.parse(parse_frames(FRAMING, answer.text.encode()), when)


def ticks(pid: int) -> int:
    return parse_stat(Path(f"/proc/{pid}/stat").read_text()).start_ticks


def test_a_real_process_is_told_with_its_hash_its_limits_and_nothing_else_of_its_environment(
    board: LocalTransport, sleeper: int, tmp_path: Path
) -> None:
    found, raw = ask(board, sleeper, tmp_path)
    exe = Path(f"/proc/{sleeper}/exe")
    assert found.process == Process(sleeper, ticks(sleeper))
    assert (found.state, found.parent, found.comm) == ("S", os.getpid(), "sleep")
    assert (found.exe, found.sha256) == (str(exe.readlink()), hashlib.sha256(exe.read_bytes()).hexdigest())
    assert found.elf == exe.read_bytes()[:20]
    assert found.argv0 == "sleep"
    assert found.environment == (("GOMEMLIMIT", "5MiB"), ("GOGC", "a\nGOMAXPROCS=7"))
    assert found.soft_limit("GOMAXPROCS") is None  # it stood inside another variable's value
    assert (found.exe_fault, found.sha256_fault, found.environment_fault) == ("", "", "")
    assert (found.recorded, found.supervisor, found.supervisor_runs) == (None, None, False)
    assert b"hidden-token" not in raw
    assert b"TELEGRAM" not in raw


@pytest.mark.parametrize("pid", ["", 4194305])  # the largest PID there can be is 4194304 (PID_MAX_LIMIT)
def test_no_process_is_told_as_none_and_never_as_the_whole_machine(
    board: LocalTransport, pid: int | str, tmp_path: Path
) -> None:
    found, _ = ask(board, pid, tmp_path)
    assert (found.process, found.state, found.exe, found.sha256, found.environment) == (None, "", "", "", ())
    assert found.exe_fault
    assert found.sha256_fault


def test_the_pid_files_are_read_and_a_supervisor_counts_only_with_its_own_start_time(
    board: LocalTransport, sleeper: int, tmp_path: Path
) -> None:
    own = os.getpid()
    (tmp_path / "gateway.pid").write_text(f"{sleeper} 77\n")
    (tmp_path / "supervisor.pid").write_text(f"{own} {ticks(own)}\n")
    found, _ = ask(board, sleeper, tmp_path)
    assert found.recorded == Process(sleeper, 77)
    assert (found.supervisor, found.supervisor_runs) == (Process(own, ticks(own)), True)
    (tmp_path / "supervisor.pid").write_text(f"{own} {ticks(own) + 1}\n")  # its PID was given to another process
    found, _ = ask(board, sleeper, tmp_path)
    assert not found.supervisor_runs


@pytest.mark.parametrize("content", ["12", "12 x", "x 12", "1 2 3", "-1 2", "$(id) 1", "1 ١"])
def test_a_pid_file_that_holds_something_else_is_a_bad_answer(sleeper: int, tmp_path: Path, content: str) -> None:
    (tmp_path / "gateway.pid").write_text(content)
    with pytest.raises(BadAnswer):
        ask(LocalTransport(), sleeper, tmp_path)


def test_a_program_replaced_on_disk_is_hashed_as_it_runs(gateway_copy: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(gateway_copy.read_bytes()).hexdigest()
    with subprocess.Popen([gateway_copy, "600"], stdin=subprocess.DEVNULL) as process:
        try:
            gateway_copy.unlink()
            gateway_copy.write_bytes(b"another program")
            found, _ = ask(LocalTransport(), process.pid, tmp_path)
        finally:
            process.kill()
    assert found.sha256 == before
    assert found.exe == f"{gateway_copy} (deleted)"


@pytest.fixture
def gateway_copy(tmp_path: Path) -> Path:
    return Path(shutil.copy(os.path.realpath("/bin/sleep"), tmp_path / "sleeping gateway"))


@pytest.mark.parametrize("case", CASES)
def test_recorded_answers_are_read_whole(case: str) -> None:
    for when in ("before", "after"):
        found = parsed(Answer.of(case), when)
        assert found.process is not None
        assert found.process == found.recorded
        assert found.supervisor_runs
        assert found.parent == found.supervisor.pid  # type: ignore[union-attr]
        assert found.soft_limit("GOMEMLIMIT") == "5MiB"


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_missing_answer_is_a_bad_answer(question: str) -> None:
    with pytest.raises(BadAnswer, match=question):
        parsed(Answer.of(CASES[0]).without(f"before_{question}"))


@pytest.mark.parametrize(
    ("question", "body"),
    [("sha", "0123"), ("sha", "A" * 64), ("stat", "no stat"), ("elf", "7f 4"), ("elf", "zz")],
)
def test_an_answer_of_another_form_is_a_bad_answer(question: str, body: str) -> None:
    with pytest.raises(BadAnswer):
        parsed(Answer.of(CASES[0]).replaced(f"before_{question}", body))


def test_a_file_that_could_not_be_read_back_has_no_hash_and_says_so() -> None:
    found = parsed(Answer.of(CASES[0]).replaced("before_sha", ""))
    assert (found.sha256, "could not be hashed or read back" in found.sha256_fault) == ("", True)


@pytest.mark.parametrize(
    ("environ", "value"),
    [
        ("GOGC=20", "20"),
        ("GOGC=20\nGOGC=20", "20"),
        ("GOGC=20\nGOGC=off", None),
        ("GOGC=", ""),
        ("XGOGC=20", None),
        ("GOGCX=20", None),
        ("", None),
        ("GOGC=1\x01GOGC=2", "1\nGOGC=2"),
    ],
)
def test_a_soft_limit_that_is_set_twice_and_not_alike_is_none(environ: str, value: str | None) -> None:
    found = parsed(Answer.of(CASES[0]).replaced("before_environ", environ))
    assert found.soft_limit("GOGC") == value


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(question=st.sampled_from(QUESTIONS), body=st.binary(max_size=60), status=st.integers(0, 255))
@example(question="argv", body=b"", status=0)
@example(question="supervising", body=b"1 (a) S 1", status=0)
def test_whatever_one_answer_holds_it_is_an_identity_or_a_bad_answer(question: str, body: bytes, status: int) -> None:
    text = Answer.of(CASES[0]).replaced(f"before_{question}", "BODY", status).text.encode().replace(b"BODY", body)
    try:
        found = identity.parse(parse_frames(FRAMING, text), "before")
    except BadAnswer:
        return
    assert found.process is None or found.process.pid >= 0
    assert found.sha256 == "" or len(found.sha256) == 64
