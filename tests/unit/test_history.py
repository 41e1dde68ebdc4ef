"""The history of readings: what is kept comes back whole, from many writers at once, over versions, and over faults."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import history
from deploy.errors import BadHistory
from deploy.history import Wanted, find, find_whole, history_file, keep, one

TEXT = st.text(max_size=30)


def document(**changes: Any) -> dict[str, Any]:
    return {
        "verdict": "PASS",
        "reason": "idle: fits",
        "kind": "idle",
        "budget": {"rss_kib": 5120, "hwm_kib": None},
        "reading": {"rss_kib": 2208, "rss_error_kib": 4, "hwm_kib": 3212, "rss_anon_kib": 1816},
        "evidence": [],
        "circumstances": {"taken at": "2026-11-23T21:16:32Z"},
        "live": None,
        "board": "licheerv",
        "host": "root@board",
        "artifact": {"sha256": "ab" * 32},
    } | changes


def test_what_is_kept_comes_back_whole_and_as_a_row() -> None:
    number = keep(document())
    found = one(number)
    assert found is not None
    row, whole = found
    assert whole == document()
    assert (row.board, row.rss_kib, row.rss_error_kib, row.pss_kib, row.budget_kib) == ("licheerv", 2208, 4, None, 5120)
    assert one(number + 1) is None


def test_nothing_is_made_by_looking() -> None:
    assert find(Wanted()) == [] and one(1) is None
    assert not history_file().exists()


def test_others_can_not_read_it() -> None:
    keep(document())
    assert stat.S_IMODE(history_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(history_file().parent.stat().st_mode) == 0o700


def test_a_reading_that_measured_nothing_is_kept_without_a_figure() -> None:
    keep(document(verdict="NOT MEASURED", reading=None))
    (row,) = find(Wanted(verdict="NOT MEASURED"))
    assert (row.rss_kib, row.hwm_kib) == (None, None)


def test_filters_take_those_that_fit_the_oldest_first() -> None:
    for board, day in (("a", "20"), ("b", "21"), ("a", "22"), ("a", "23")):
        keep(document(board=board, circumstances={"taken at": f"2026-11-{day}T00:00:00Z"}))
    assert [each.id for each in find(Wanted(board="a"))] == [1, 3, 4]
    assert [each.id for each in find(Wanted(board="a", last=2))] == [3, 4]
    assert [each.id for each in find(Wanted(since="2026-11-22"))] == [3, 4]
    assert [each.id for each in find(Wanted(release="abab", host="root@board", kind="idle"))] == [1, 2, 3, 4]
    assert find(Wanted(release="ba")) == []
    assert [kept.id for kept, _ in find_whole(Wanted(last=1))] == [4]


@settings(deadline=None)  # each example writes a file to the disk
@given(TEXT, TEXT, TEXT)
def test_whatever_a_board_says_is_data(
    tmp_path_factory: pytest.TempPathFactory, board: str, host: str, reason: str
) -> None:
    path = tmp_path_factory.mktemp("odd") / "history.sqlite3"
    try:
        json.dumps(document(board=board)).encode()
        (board + host + reason).encode()
    except UnicodeEncodeError:
        return  # half of a surrogate pair: no transport brings one
    number = keep(document(board=board, host=host, reason=reason), path)
    found = one(number, path)
    assert found is not None and found[1]["reason"] == reason and found[0].board == board
    if board and host:
        assert [each.id for each in find(Wanted(board=board, host=host), path)] == [number]


WRITER = """
import json, sys
from pathlib import Path
from deploy.history import keep
document = json.loads(sys.argv[2])
for number in range(int(sys.argv[3])):
    keep(document | {"reason": f"{sys.argv[4]} {number}"}, Path(sys.argv[1]))
    print(number, flush=True)
"""


def writer(path: Path, rows: int, name: str) -> subprocess.Popen[bytes]:
    arguments = [str(path), json.dumps(document()), str(rows), name]
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE)


def test_eight_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    writers = [writer(path, 25, str(number)) for number in range(8)]
    for each in writers:
        each.communicate(timeout=60)
        assert each.returncode == 0
    kept = find(Wanted(), path)
    assert len(kept) == 200 and len({each.reason for each in kept}) == 200


def test_a_writer_that_is_killed_leaves_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    with writer(path, 100_000, "doomed") as doomed:
        assert doomed.stdout is not None
        for _ in range(5):
            doomed.stdout.readline()
        os.kill(doomed.pid, signal.SIGKILL)
        told = doomed.stdout.read().count(b"\n") + 5
    assert keep(document(), path) >= told, "what was said to be kept is kept"
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_of_the_first_version_is_brought_to_ours(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    with sqlite3.connect(path) as database:
        database.executescript(history._MIGRATIONS[0] + "PRAGMA user_version = 1;")
        columns = "taken_at, kind, verdict, reason, board, host, sha256, rss_kib, document"
        values = ("2026-01-01T00:00:00Z", "idle", "PASS", "fits", "old", "root@old", "cd" * 32, 2000, "{}")
        database.execute(f"INSERT INTO reading ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    assert [each.board for each in find(Wanted(), path)] == ["old"]
    assert keep(document(), path) == 2
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (history.VERSION,)


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 999")
    before = path.read_bytes()
    for action in (lambda: keep(document(), path), lambda: find(Wanted(), path)):
        with pytest.raises(BadHistory, match="newer slimdeploy"):
            action()
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_a_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    path.write_text("a shopping list, rather long, so that it is no header of anything\n" * 20)
    with pytest.raises(BadHistory, match="not a database"):
        keep(document(), path)
    assert path.read_text().startswith("a shopping list")


def test_a_writer_waits_for_another_one_and_does_not_fail(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    keep(document(), path)
    with sqlite3.connect(path, isolation_level=None) as busy:
        busy.execute("BEGIN IMMEDIATE")
        waiting = writer(path, 1, "patient")
        time.sleep(0.5)
        assert waiting.poll() is None
        busy.execute("COMMIT")
        waiting.communicate(timeout=30)
    assert waiting.returncode == 0 and len(find(Wanted(), path)) == 2
