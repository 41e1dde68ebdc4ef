"""What a bench tells, line by line; and that what may lie in its log besides is not taken for a figure."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from deploy.board_shell.bench import KINDS, PHASES, Told, parse_told, place_script, told_script
from deploy.board_shell.framing import Framing
from deploy.model.layout import Layout
from deploy.transport.local import LocalTransport

GATEWAY = Path(__file__).resolve().parents[3] / "gateway"
LINE = "[mem 4-after-burst  ] RSS= 3072 KB (3.00 MB)  HeapAlloc= 690760 B  HeapSys= 3899392 B  NumGC=86"


def told(tmp_path: Path, log: str) -> Told:
    layout = Layout(str(tmp_path))
    Path(layout.log).mkdir(exist_ok=True)
    Path(layout.log_file).write_text(log)
    framing = Framing.new()
    return parse_told(framing, LocalTransport().run(told_script(framing, layout)).stdout)


def test_a_phase_and_the_verdict_are_read(tmp_path: Path) -> None:
    found = told(tmp_path, f"{LINE}\nupdates=5\ngc_cpu_percent=0.102\nvmrss_kib=3072\nPASS: well done\n")
    assert [(each.name, each.rss_kib, each.collections) for each in found.phases] == [("4-after-burst", 3072, 86)]
    assert (found.phases[0].heap_alloc_bytes, found.phases[0].heap_sys_bytes) == (690760, 3899392)
    assert (found.counts["updates"], found.verdict, found.reason) == (5, "PASS", "well done")
    assert (found.others, found.state) == ((), "")


@pytest.mark.parametrize(
    "line",
    [
        LINE[:-1] + "x",
        LINE.replace("3072 KB", "-3072 KB"),
        LINE.replace("[mem", "x [mem"),
        LINE.replace("3072", "9" * 16),
        LINE[: len(LINE) // 2],
        LINE.replace("KB", "kB"),
    ],
)
def test_a_line_of_another_form_is_no_phase(tmp_path: Path, line: str) -> None:
    assert told(tmp_path, line + "\n").phases == ()


def test_a_phase_that_could_not_be_read_has_no_figure_and_is_not_zero(tmp_path: Path) -> None:
    line = LINE.replace(" 3072 KB (3.00 MB)", " not measured")
    assert [each.rss_kib for each in told(tmp_path, line).phases] == [None]


def test_what_went_wrong_is_kept(tmp_path: Path) -> None:
    found = told(tmp_path, "membench: there is no flag --hold\nsupervisor: the gateway ended with status 2\n")
    assert found.others[0] == "membench: there is no flag --hold" and not found.verdict


def test_phases_and_kinds_are_those_of_the_program() -> None:
    source = "".join(path.read_text() for path in (GATEWAY / "cmd" / "membench").glob("*.go"))
    assert [name for name in PHASES if f'm.phase("{name}")' not in source] == []
    kinds = (GATEWAY / "internal" / "simulated" / "kinds.go").read_text()
    assert tuple(re.findall(r'name: "(\w+)"', kinds)) == KINDS


def test_the_place_is_the_first_that_may_be_written(tmp_path: Path) -> None:
    first, second = tmp_path / "a b's" / "picoclaw", tmp_path / "home"
    found = LocalTransport().run(place_script(str(first), str(second)))
    assert found.stdout.decode().strip() == str(first) and not first.exists()
    assert subprocess.run(["sh", "-n"], input=place_script("/x").text.encode(), check=False).returncode == 0
