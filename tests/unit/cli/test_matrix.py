"""emulate.matrix: one deployment for each board, one table of what came of it, and one exit code for all."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from deploy.cli import matrix
from deploy.cli.ending import problem_document
from deploy.emulator import emulated, qemu
from deploy.errors import LoopbackFailed, NoHost, NotMeasured

READING = {"rss_kib": 3784, "rss_error_kib": 12, "hwm_kib": 4100, "rss_anon_kib": 2052, "rss_file_kib": 1732}
PASSED: dict[str, Any] = {
    "verdict": "PASS",
    "reason": "live: within the budget",
    "reading": READING,
    "circumstances": {"kernel": "6.12.1-riscv64"},
    "artifact": {"target": "linux/riscv64/rva20u64", "size_bytes": 4522144},
    "live": {"answered": 1000, "tls": "TLSv1.3"},
}
FAILED = PASSED | {"verdict": "FAIL", "reason": "VmRSS is over the budget"}
UNPROVEN = PASSED | {"verdict": "NOT MEASURED", "reason": "the gateway does not run", "reading": None}

Runs = Callable[..., list[tuple[str, ...]]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Set what each board's deployment prints; the commands that were run. No QEMU is started, whether there is one."""
    asked: list[tuple[str, ...]] = []

    def answering(up: tuple[str, ...] = (), **documents: Any) -> list[tuple[str, ...]]:
        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            asked.append(arguments)
            said = documents.get(arguments[2].replace("-", "_"), "")
            if isinstance(said, dict):
                return subprocess.CompletedProcess(arguments, 0, json.dumps(said), "")
            return subprocess.CompletedProcess(arguments, 4, "", said)

        monkeypatch.setattr(matrix, "_slimdeploy", run)
        monkeypatch.setattr(emulated, "status", lambda name: object() if name in up else None)
        monkeypatch.setattr(qemu, "program_of", lambda machine: machine.program)
        return asked

    return answering


def ended(capsys: pytest.CaptureFixture[str], **flags: Any) -> tuple[int, str, str]:
    """The exit code, and both outputs."""
    code = 0
    try:
        matrix.matrix.body(Context(), **flags)
    except Exit as stopped:
        code = stopped.code
    said = capsys.readouterr()
    return code, said.out, said.err


def test_one_row_for_each_board_in_the_order_that_was_asked(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    asked = runs(licheerv=PASSED, luckfox_pico=PASSED, rpi_zero_2w=PASSED)
    code, out, _ = ended(capsys, boards="luckfox-pico,licheerv,rpi-zero-2w", jobs="3", json=True)
    rows = json.loads(out)["boards"]
    assert code == 0 and [row["board"] for row in rows] == ["luckfox-pico", "licheerv", "rpi-zero-2w"]
    assert all(row["deployment"] == PASSED and row["problem"] == "" and row["seconds"] >= 0 for row in rows)
    deployed = [each for each in asked if each[0] == "deploy"]
    assert {each[2] for each in deployed} == {"licheerv", "luckfox-pico", "rpi-zero-2w"}
    assert all({"--emulate", "--json", "--messages=1000"} <= set(each) for each in deployed)
    assert {each for each in asked if each[0] != "deploy"} == {
        ("emulate.down", "--board", each[2]) for each in deployed
    }


def test_what_is_asked_of_the_build_reaches_each_deployment_and_nothing_that_was_not(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = runs(licheerv=PASSED)
    wanted = {"source": "/elsewhere", "package": "./cmd/x", "command": "serve --port 8081", "ldflags": "-X a=b c"}
    ended(capsys, boards="licheerv", max_procs="1", **wanted)
    assert asked[0][5:] == (
        "--source=/elsewhere",
        "--package=./cmd/x",
        "--command=serve --port 8081",
        "--ldflags=-X a=b c",
        "--messages=1000",
        "--max-procs=1",
    )


@pytest.mark.parametrize(("keep", "up", "downs"), [(False, (), 1), (True, (), 0), (False, ("licheerv",), 0)])
def test_a_machine_that_was_up_or_is_to_be_kept_stays_up(
    runs: Runs, capsys: pytest.CaptureFixture[str], keep: bool, up: tuple[str, ...], downs: int
) -> None:
    asked = runs(up, licheerv=PASSED)
    ended(capsys, boards="licheerv", keep=keep)
    assert [each[0] for each in asked].count("emulate.down") == downs


@pytest.mark.parametrize(
    ("licheerv", "duo", "expected"),
    [
        (PASSED, PASSED, 0),
        (PASSED, FAILED, 1),
        (FAILED, UNPROVEN, 3),
        (PASSED, UNPROVEN, 3),
        (FAILED, "the board does not come up", 4),
        (PASSED, "", 4),
        (PASSED, problem_document(LoopbackFailed("the emulated board milkv-duo does not come up", "milkv-duo")), 4),
        (PASSED, problem_document(NotMeasured("the gateway does not run")), 3),
    ],
    ids=[
        "all pass",
        "a fail",
        "a fail and no proof",
        "no proof",
        "words",
        "no word",
        "a problem",
        "a problem of proof",
    ],
)
def test_the_exit_code_is_that_of_the_worst_board(
    runs: Runs, capsys: pytest.CaptureFixture[str], licheerv: Any, duo: Any, expected: int
) -> None:
    runs(licheerv=licheerv, milkv_duo=duo)
    assert ended(capsys, boards="licheerv,milkv-duo", json=True)[0] == expected


def test_a_problem_is_told_in_the_row_with_its_cure_and_its_document(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = problem_document(NoHost("licheerv"))
    assert problem["error"]["cure"]
    runs(licheerv=problem)
    code, out, _ = ended(capsys, boards="licheerv", json=True)
    (row,) = json.loads(out)["boards"]
    assert code == 4 and row["deployment"] == problem
    assert row["problem"] == f"{problem['error']['problem']} {problem['error']['cure']}"


def test_the_table_has_the_figures_and_below_it_the_circumstances_within_80_columns(
    runs: Runs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    runs(openwrt_mt7621=PASSED, licheerv=UNPROVEN, milkv_duo="the kernel panicked\nand more")
    _, out, _ = ended(capsys, boards="openwrt-mt7621,licheerv,milkv-duo")
    lines = out.splitlines()
    cells = {row[0]: row[1:] for line in lines if (row := line.replace("│", " ").split())}
    assert cells["openwrt-mt7621"] == ["3,784", "12", "4,100", "2,052", "1,732", "0", "PASS"]
    assert cells["licheerv"] == ["0", "NOT", "MEASURED"], "what was not measured has no figure"
    words = " ".join(out.split())
    assert (
        "openwrt-mt7621: Linux 6.12.1-riscv64, linux/riscv64/rva20u64, binary 4,522,144 bytes, 1,000 messages" in words
    )
    assert "the gateway does not run" in words
    assert "milkv-duo: the kernel panicked" in words and "and more" not in words
    assert max(len(line) for line in lines if "messages answered" not in line) <= 80


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"boards": "no-such-board"}, "no-such-board"),
        ({"boards": "openwrt-ath79"}, "there is no emulated machine for mips"),
        ({"boards": ","}, "--boards names none"),
        ({"boards": "licheerv,licheerv"}, "--boards names one twice"),
        ({"boards": "licheerv", "messages": "none"}, "--messages"),
        ({"boards": "licheerv", "jobs": "0"}, "--jobs"),
    ],
)
def test_what_cant_be_done_is_said_before_the_first_board_is_started(
    runs: Runs, capsys: pytest.CaptureFixture[str], flags: dict[str, str], problem: str
) -> None:
    asked = runs(licheerv=PASSED)
    code, _, err = ended(capsys, **flags)
    assert code == 2 and problem in " ".join(err.split()) and not asked


def test_a_missing_qemu_is_said_before_the_first_board_is_started(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(matrix, "_slimdeploy", lambda *arguments: pytest.fail("a board was started"))
    code, _, err = ended(capsys, boards="licheerv")
    assert code == 2 and "apt-get install qemu-system-misc" in " ".join(err.split())
