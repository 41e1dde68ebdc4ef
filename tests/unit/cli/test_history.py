"""memory.history, memory.show and memory.export: what was measured once can be looked at, and handed on."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from program import Slimdeploy
from readings import idle_of, recorded_answer

from deploy.cli import history
from deploy.history import history_file, keep
from deploy.memory.budget import judge
from deploy.model.verdict import Budget
from deploy.report.documents import reading_document
from deploy.report.sparkline import sparkline


def kept_document(**changes: Any) -> dict[str, Any]:
    taken = idle_of(recorded_answer())
    about = {"board": "licheerv", "host": "root@board", "artifact": {"sha256": "ab" * 32}}
    document = reading_document(taken, judge(taken, Budget())) | about
    document["circumstances"] = {"taken at": "2026-11-23T21:16:32Z"}
    return document | changes


def ended(task: Any, *arguments: Any, **flags: Any) -> int:
    try:
        task.body(Context(), *arguments, **flags)
    except Exit as stopped:
        return int(stopped.code)
    return 0


def test_the_list_has_a_row_a_reading_and_a_curve(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for rss in (2000, 2400, 3000):
        document = kept_document()
        document["reading"]["rss_kib"] = rss
        keep(document)
    keep(kept_document(verdict="NOT MEASURED", reading=None))
    assert ended(history.history) == 0
    out = capsys.readouterr().out
    assert "VmRSS  ▁▄█  2,000 to 3,000 KiB" in out
    assert out.count("licheerv") == 4 and out.count("NOT MEASURED") == 1
    assert max(map(len, out.splitlines())) <= 80
    assert ended(history.history, board="another") == 0
    assert "one is made by" in capsys.readouterr().out


def test_a_terminal_without_these_characters_gets_the_list_all_the_same(slimdeploy: Slimdeploy) -> None:
    for _ in range(2):
        keep(kept_document())
    listed = slimdeploy("memory.history", env={"PYTHONIOENCODING": "ascii"})
    assert listed.code == 0 and "VmRSS  ??  " in listed.out and not listed.err


def test_a_reading_is_shown_with_every_proof_from_what_was_kept_alone(capsys: pytest.CaptureFixture[str]) -> None:
    number = keep(kept_document())
    assert ended(history.show, str(number)) == 0
    out = capsys.readouterr().out
    for what in ("licheerv at root@board", "VmRSS", "the right process", "a real Linux kernel", "PASS"):
        assert what in out
    assert ended(history.show, str(number), json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"id": number, **kept_document()}


def test_no_figure_is_shown_of_a_reading_that_measured_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    document = kept_document(verdict="NOT MEASURED", reading=None)
    document["samples_without_proof"] = kept_document()["reading"]["samples"]
    number = keep(document)
    assert ended(history.show, str(number)) == 0
    assert "VmRSS  " not in capsys.readouterr().out


def test_an_id_that_is_none_says_which_is_the_newest(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(history.show, "7") == 2
    assert "none is kept yet" in capsys.readouterr().err
    keep(kept_document())
    assert ended(history.show, "7") == 2
    assert "the newest is 1" in capsys.readouterr().err


def test_a_table_for_a_spreadsheet_holds_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    keep(kept_document(host='=HYPERLINK("http://x","y")'))
    assert ended(history.export, form="csv") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["host"].startswith("'=") and row["board"] == "licheerv" and int(row["rss_kib"]) > 0


def test_prometheus_gets_the_last_of_each_with_its_labels_escaped(tmp_path: Path) -> None:
    for rss in (2000, 2400):
        document = kept_document(host='ro"ot\\@b\noard')
        document["reading"]["rss_kib"] = rss
        keep(document)
    file = tmp_path / "slimdeploy.prom"
    file.write_text("old")
    assert ended(history.export, form="prometheus", output=str(file)) == 0
    lines = file.read_text().splitlines()
    labels = '{board="licheerv",host="ro\\"ot\\\\@b\\noard",kind="idle",release="abababababababab"}'
    assert f"slimdeploy_vmrss_bytes{labels} {2400 * 1024}" in lines
    assert next(line for line in lines if line.startswith("slimdeploy_verdict")).endswith('verdict="PASS"} 1')
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".slim")] == []


@pytest.mark.parametrize("damage", ["", '{"verdict": "PA', "[]", "7"])
def test_a_reading_that_is_damaged_is_named_with_what_takes_it_out(
    damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, number = keep(kept_document()), keep(kept_document())
    with closing(sqlite3.connect(history_file())) as database, database:
        database.execute("UPDATE reading SET document = ? WHERE id = ?", (damage, number))
    for task, arguments in ((history.show, (str(number),)), (history.export, ())):
        assert ended(task, *arguments) == 2
        said = capsys.readouterr().err
        assert f"reading {number} is damaged" in said and "Traceback" not in said
    assert ended(history.show, str(whole)) == 0 and ended(history.history) == 0
    advised = said.partition(f"sqlite3 {history_file()} '")[2].partition("'")[0]
    with closing(sqlite3.connect(history_file())) as database, database:
        database.execute(advised)
    assert ended(history.export) == 0


def test_a_history_that_can_not_be_written_spoils_no_reading(capsys: pytest.CaptureFixture[str]) -> None:
    history_file().parent.mkdir(parents=True)
    history_file().write_text("no database, and long enough to be taken for something else\n" * 9)
    assert history.kept(kept_document()) is None
    assert "the reading is not kept" in capsys.readouterr().err
    assert history.kept(kept_document(), wanted=False) is None
    assert history.kept({"verdict": None}) is None, "a deployment without a reading"


@pytest.mark.parametrize(
    "flags",
    [
        {"kind": "odd"},
        {"verdict": "maybe"},
        {"since": "yesterday"},
        {"since": "2026-02-30"},
        {"since": "2026-13"},
        {"since": "2026-11-23T24:00"},
        {"since": "2026-11-23T::"},
        {"release": "xyz"},
        {"last": "0"},
    ],
)
def test_a_filter_that_makes_no_sense_is_said_to(flags: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(history.history, **flags) == 2
    assert f"--{next(iter(flags))} takes" in capsys.readouterr().err


@pytest.mark.parametrize("since", ["2026", "2026-11", "2026-11-23", "2026-11-23T21", "2026-11-23T21:16:32Z"])
def test_since_is_a_moment_or_its_beginning(since: str, capsys: pytest.CaptureFixture[str]) -> None:
    keep(kept_document())
    assert ended(history.history, since=since) == 0
    assert "licheerv" in capsys.readouterr().out


def test_a_curve_has_one_block_a_figure_and_the_last_ones_where_there_are_many() -> None:
    assert sparkline([]) == "" and sparkline([5, 5]) == "▁▁"
    assert sparkline([0, 7]) == "▁█" and len(sparkline(list(range(100)), 60)) == 60
