"""Knows the file in which every reading of this machine is kept, whole, and how it is written and looked through.

What a document holds is `report/documents.py`'s; which commands keep one, the commands'; how such a file is opened,
`database.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from deploy.database import Schema, connect, opened
from deploy.errors import BadHistory
from deploy.folders import data_folder

_MIGRATIONS = (
    """
    CREATE TABLE reading (
        id INTEGER PRIMARY KEY,
        taken_at TEXT NOT NULL,
        kind TEXT NOT NULL,
        verdict TEXT NOT NULL,
        reason TEXT NOT NULL,
        board TEXT NOT NULL,
        host TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        rss_kib INTEGER,
        rss_error_kib INTEGER,
        hwm_kib INTEGER,
        rss_anon_kib INTEGER,
        rss_file_kib INTEGER,
        pss_kib INTEGER,
        swap_kib INTEGER,
        budget_kib INTEGER,
        document TEXT NOT NULL
    );
    """,
    "CREATE INDEX reading_by_board ON reading (board, host, id);",
)

_SCHEMA = Schema(_MIGRATIONS, BadHistory)

VERSION = _SCHEMA.version


@dataclass(frozen=True, slots=True)
class Kept:
    """One reading as a row. Sizes in KiB; None where nothing was measured, or the kernel has no such figure."""

    id: int
    taken_at: str
    """In UTC, by the controller's clock: 2026-11-23T21:14:00Z."""
    kind: str
    verdict: str
    reason: str
    board: str
    host: str
    sha256: str
    rss_kib: int | None
    rss_error_kib: int | None
    hwm_kib: int | None
    rss_anon_kib: int | None
    rss_file_kib: int | None
    pss_kib: int | None
    swap_kib: int | None
    budget_kib: int | None


_COLUMNS = tuple(field.name for field in fields(Kept))
_FIGURES = ("rss_kib", "rss_error_kib", "hwm_kib", "rss_anon_kib", "rss_file_kib", "pss_kib", "swap_kib")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings: those that are all of what is named here; "" and None take any."""

    board: str = ""
    host: str = ""
    release: str = ""
    """The beginning of the artifact's SHA-256."""
    kind: str = ""
    verdict: str = ""
    since: str = ""
    """A day or a moment in UTC, as `Kept.taken_at` writes it, or the beginning of one."""
    last: int | None = None
    """The last so many of them."""


def history_file() -> Path:
    """Where it lies."""
    return data_folder() / "history.sqlite3"


def keep(document: dict[str, Any], path: Path | None = None) -> int:
    """Keep what a command printed of one reading; its id. Many processes may do so at once.

    `document` has the members of `reading_document`, and "board", "host" and "artifact". Raises BadHistory.
    """
    row = _row(document)
    with opened(path or history_file(), _SCHEMA, writes=True) as database, database:
        # A power cut may take the last rows, and never the file; else each of a fleet's readings waits for the disk.
        database.execute("PRAGMA synchronous = NORMAL")
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        cursor = database.execute(f"INSERT INTO reading ({names}) VALUES ({marks})", tuple(row.values()))
        assert cursor.lastrowid is not None
        return cursor.lastrowid


@contextmanager
def held_open(path: Path | None = None) -> Iterator[None]:
    """While many readings are kept: what is held open is not put in order after each of them (wal.html, "checkpoint").

    A history that can't be used is no fault here: who keeps a reading is told.
    """
    with ExitStack() as stack:
        with suppress(BadHistory):
            stack.enter_context(closing(connect(path or history_file(), _SCHEMA, writes=True)))
        yield


def find(wanted: Wanted, path: Path | None = None) -> list[Kept]:
    """The readings that fit, the oldest first. Raises BadHistory."""
    return [kept for kept, _ in _found(wanted, path, with_document=False)]


def find_whole(wanted: Wanted, path: Path | None = None) -> list[tuple[Kept, dict[str, Any]]]:
    """As `find`, with the whole documents. Raises BadHistory."""
    return [(kept, _document(kept, text, path)) for kept, text in _found(wanted, path, with_document=True)]


def one(number: int, path: Path | None = None) -> tuple[Kept, dict[str, Any]] | None:
    """The reading of that id, whole; None where there is none. Raises BadHistory."""
    rows = _select("WHERE id = ?", (number,), path, with_document=True)
    return (rows[0][0], _document(*rows[0], path)) if rows else None


def latest(path: Path | None = None) -> dict[tuple[str, str], Kept]:
    """The last reading of each host, by board and host. Raises BadHistory."""
    last = "WHERE id IN (SELECT max(id) FROM reading GROUP BY board, host) ORDER BY id"
    return {(kept.board, kept.host): kept for kept, _ in _select(last, (), path, with_document=False)}


def _document(kept: Kept, text: Any, path: Path | None) -> dict[str, Any]:
    """Raises BadHistory where the row of that reading holds none."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except (ValueError, TypeError, RecursionError) as error:
        why = f"what is kept of reading {kept.id} is damaged ({error})"
        raise BadHistory(str(path or history_file()), why, kept.id) from error
    return found


def _row(document: dict[str, Any]) -> dict[str, Any]:
    figures = document.get("reading") or {}
    budget = document.get("budget") or {}
    return {
        "taken_at": str(document["circumstances"].get("taken at", "")),
        **{name: str(document.get(name) or "") for name in ("kind", "verdict", "reason", "board", "host")},
        "sha256": str((document.get("artifact") or {}).get("sha256") or ""),
        **{name: figures.get(name) for name in _FIGURES},
        "budget_kib": budget.get("rss_kib"),
        "document": json.dumps(document, separators=(",", ":")),
    }


def _found(wanted: Wanted, path: Path | None, *, with_document: bool) -> list[tuple[Kept, str]]:
    parts, values = [], []
    for name in ("board", "host", "kind", "verdict"):
        if value := getattr(wanted, name):
            parts.append(f"{name} = ?")
            values.append(value)
    if wanted.release:
        parts.append("substr(sha256, 1, ?) = ?")
        values += [len(wanted.release), wanted.release]
    if wanted.since:
        parts.append("taken_at >= ?")
        values.append(wanted.since)
    where = f"WHERE {' AND '.join(parts)}" if parts else ""
    limit = f" ORDER BY id DESC LIMIT {int(wanted.last)}" if wanted.last is not None else " ORDER BY id DESC"
    return _select(where + limit, tuple(values), path, with_document=with_document)[::-1]


def _select(rest: str, values: tuple[Any, ...], path: Path | None, *, with_document: bool) -> list[tuple[Kept, str]]:
    path = path or history_file()
    if not path.exists():
        return []
    document = "document" if with_document else "''"
    with opened(path, _SCHEMA, writes=False) as database:
        rows = database.execute(f"SELECT {', '.join(_COLUMNS)}, {document} FROM reading {rest}", values)
        return [(Kept(*row[:-1]), row[-1]) for row in rows]
