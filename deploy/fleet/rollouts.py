"""Knows the file in which every rollout is kept: its waves, what became of each host, and who carries it out.

How a rollout goes is the engine's, and so is that no secret is ever in what is kept here. What was put stays, whatever
becomes of the process; after a power cut the last puts may be missing, and those hosts are done again: that is WAL with
synchronous=NORMAL (sqlite.org, pragma.html).
"""

from __future__ import annotations

import difflib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from deploy.database import connect, faults, opened
from deploy.errors import UnknownName, UsageError
from deploy.fleet.holders import Holder, this_process
from deploy.fleet.rollout_rows import (
    COLUMNS,
    LATEST,
    PUT,
    ROLLOUT,
    SCHEMA,
    result_of,
    result_row,
    rollout_of,
    rollout_row,
)
from deploy.folders import data_folder
from deploy.model.rollout import Phase, Result, Rollout, State

REQUESTS = ("pause", "abort")
"""What another process can ask of the one that carries a rollout out."""


LAST = "last"
"""What the newest rollout is called by whoever has no id at hand."""


def rollouts_file() -> Path:
    """Where it lies."""
    return data_folder() / "rollouts.sqlite3"


def new_id(now: datetime | None = None) -> str:
    """An id for a rollout that begins `now`, such as 20261123-221503-3f9a."""
    return f"{(now or datetime.now(UTC)).astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class Rollouts:
    """The file at `path`; made by the first that writes. Any number of threads and processes may use it at once.

    What writes goes over one connection, one thread after the other; what reads holds up nobody. To be closed, or used
    as a context. Every method raises BadRollouts where the file can't be used, and UnknownName for an id that is not
    there.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or rollouts_file()
        self._lock = Lock()
        self._writer: sqlite3.Connection | None = None

    def __enter__(self) -> Rollouts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. A claim is not let go of: see `release`."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def begin(self, rollout: Rollout) -> None:
        """Keep a new rollout, all of its hosts waiting. Raises UsageError where one of that id is kept already."""
        row = rollout_row(rollout)
        ordered = [(wave.number, name) for wave in rollout.waves for name in wave.members]
        with self._writing() as database:
            if database.execute("SELECT 1 FROM rollout WHERE id = ?", (rollout.id,)).fetchone():
                raise UsageError(f"there is a rollout {rollout.id} already")
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO rollout ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
            database.executemany(
                "INSERT INTO member (rollout, name, position, wave) VALUES (?, ?, ?, ?)",
                [(rollout.id, name, position, wave) for position, (wave, name) in enumerate(ordered)],
            )

    def put(self, rollout_id: str, result: Result) -> None:
        """Keep what became of a host; what was put of it before is no longer what holds.

        Raises UnknownName where that rollout has no such member.
        """
        row = (rollout_id, *result_row(result))  # the document becomes text before anybody has to wait
        with self._writing() as database:
            try:
                database.execute(PUT, row)
            except sqlite3.IntegrityError as error:
                raise UnknownName(f"host in the rollout {rollout_id}", result.member) from error

    def phase(self, rollout_id: str, phase: Phase, why: str = "") -> None:
        """Keep where the rollout stands. Raises UsageError where it was aborted, which is for good."""
        with self._writing() as database:
            found = _row(database, rollout_id)
            if found["phase"] == Phase.ABORTED.value and phase is not Phase.ABORTED:
                raise UsageError(_ABORTED.format(rollout_id))
            database.execute("UPDATE rollout SET phase = ?, why = ? WHERE id = ?", (phase.value, why, rollout_id))

    def results(self, rollout_id: str, *, documents: bool = True) -> dict[str, Result]:
        """The latest result of every member that has one, by its name, in the fleet's order.

        Without `documents` theirs are None, and thousands of hosts take milliseconds.
        """
        names = ", ".join(f"result.{name}" for name in (COLUMNS if documents else COLUMNS[:-1]))
        rows = self._read(rollout_id, f"SELECT {names} {LATEST} AND result.id IS NOT NULL ORDER BY position")
        return {result.member: result for result in map(result_of, rows)}

    def unfinished(self, rollout_id: str) -> tuple[str, ...]:
        """The members, in the fleet's order, that a rollout which is resumed has left to do."""
        rows = self._read(rollout_id, f"SELECT name, state {LATEST} ORDER BY position")
        return tuple(name for name, state in rows if state is None or not State(state).is_final)

    def counts(self, rollout_id: str) -> dict[State, int]:
        """How many members stand in each state; those without a result are waiting."""
        rows = self._read(rollout_id, f"SELECT coalesce(state, 'waiting'), count(*) {LATEST} GROUP BY 1")
        found = {State(state): count for state, count in rows}
        return {state: found.get(state, 0) for state in State}

    def find(self, text: str) -> str:
        """The id that begins with `text`, or whose last four digits it is; of the newest one for LAST.

        Raises UnknownName, with the near ones, and UsageError that names the candidates where there are several.
        """
        ids: list[str] = [row[0] for row in self._select("SELECT id FROM rollout ORDER BY number DESC")]
        if text in ids:
            return text
        if text == LAST and ids:
            return ids[0]
        found = [each for each in ids if text and (each.startswith(text) or each.endswith(f"-{text}"))]
        if not found:
            raise UnknownName("rollout", text, difflib.get_close_matches(text, ids, n=3, cutoff=0.5), ids[:_MOST_NAMED])
        if len(found) > 1:
            more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
            raise UsageError(f"{text!r} could be each of these rollouts: {', '.join(found[:_MOST_NAMED])}{more}")
        return found[0]

    def one(self, text: str) -> Rollout:
        """The rollout that `find` finds. Raises as it does."""
        return self._rollouts("WHERE id = ?", (self.find(text),))[0]

    def newest(self) -> Rollout | None:
        """The one that was begun last; None where there is none."""
        return next(iter(self.all(last=1)), None)

    def all(self, last: int | None = None) -> tuple[Rollout, ...]:
        """Every one, or the `last` ones; the newest first."""
        limit = "" if last is None else f" LIMIT {int(last)}"
        return self._rollouts(f"ORDER BY number DESC{limit}", ())

    def claim(self, rollout_id: str) -> None:
        """This process carries the rollout out from now on; what was asked of another one before is forgotten.

        Raises UsageError where a living process does already, also where it is this one, and where it was aborted.
        """
        with self._writing() as database:
            found = _row(database, rollout_id)
            if found["phase"] == Phase.ABORTED.value:
                raise UsageError(_ABORTED.format(rollout_id))
            if (holder := _living(found)) is not None:
                who = f"process {holder.pid} since {holder.since}"
                raise UsageError(f"rollout {rollout_id} is being carried out by {who}")
            own = this_process(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
            database.execute(
                "UPDATE rollout SET request = '', pid = ?, boot_id = ?, start_ticks = ?, since = ? WHERE id = ?",
                (own.pid, own.boot_id, own.start_ticks, own.since, rollout_id),
            )

    def release(self, rollout_id: str) -> None:
        """This process no longer carries it out; nothing where it did not."""
        own = this_process("")
        with self._writing() as database:
            database.execute(
                "UPDATE rollout SET pid = NULL WHERE id = ? AND pid = ? AND boot_id = ? AND start_ticks = ?",
                (rollout_id, own.pid, own.boot_id, own.start_ticks),
            )

    def holder(self, rollout_id: str) -> Holder | None:
        """The living process that carries it out; None where none does, as after it was killed."""
        with self._reading() as database:
            if database is None:
                raise UnknownName("rollout", rollout_id)
            return _living(_row(database, rollout_id))

    def ask(self, rollout_id: str, request: str) -> None:
        """Ask one of REQUESTS of the process that carries the rollout out; nothing undoes an abort.

        Raises UsageError where none does: there the caller sets the phase itself.
        """
        if request not in REQUESTS:
            raise ValueError(f"{request!r} is none of {REQUESTS}")
        with self._writing() as database:
            if _living(_row(database, rollout_id)) is None:
                raise UsageError(f"rollout {rollout_id} is not being carried out by any process")
            database.execute(
                "UPDATE rollout SET request = ? WHERE id = ? AND request <> 'abort'", (request, rollout_id)
            )

    def asked(self, rollout_id: str) -> str:
        """What was asked of the process that carries it out: one of REQUESTS, or ""."""
        with self._reading() as database:
            if database is None:
                raise UnknownName("rollout", rollout_id)
            return str(_row(database, rollout_id)["request"])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on the one connection that writes."""
        with self._lock, faults(self._path, SCHEMA):
            if self._writer is None:
                self._writer = connect(self._path, SCHEMA, writes=True)
                self._writer.execute("PRAGMA synchronous = NORMAL")
                self._writer.execute("PRAGMA foreign_keys = ON")
                self._writer.isolation_level = None  # every transaction begins below
            with self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection of its own: readers hold up no writer (wal.html). None, and no file, where nothing was kept."""
        if not self._path.exists():
            yield None
            return
        with opened(self._path, SCHEMA, writes=False) as database:
            yield database

    def _select(self, ask: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._reading() as database:
            return [] if database is None else database.execute(ask, values).fetchall()

    def _read(self, rollout_id: str, ask: str) -> list[Any]:
        """Rows of a rollout that is there."""
        if not self._select("SELECT 1 FROM rollout WHERE id = ?", (rollout_id,)):
            raise UnknownName("rollout", rollout_id)
        return self._select(ask, (rollout_id,))

    def _rollouts(self, rest: str, values: tuple[Any, ...]) -> tuple[Rollout, ...]:
        rows = self._select(f"SELECT {', '.join(ROLLOUT)} FROM rollout {rest}", values)
        of = "SELECT wave, name FROM member WHERE rollout = ? ORDER BY position"
        return tuple(rollout_of(row, self._select(of, (row[0],))) for row in rows)


_ABORTED = "rollout {} was aborted, and is never gone on with"
_MOST_NAMED = 10


def _row(database: sqlite3.Connection, rollout_id: str) -> dict[str, Any]:
    names = ("phase", "request", "pid", "boot_id", "start_ticks", "since")
    found = database.execute(f"SELECT {', '.join(names)} FROM rollout WHERE id = ?", (rollout_id,)).fetchone()
    if found is None:
        raise UnknownName("rollout", rollout_id)
    return dict(zip(names, found, strict=True))


def _living(row: dict[str, Any]) -> Holder | None:
    if row["pid"] is None:
        return None
    holder = Holder(row["pid"], row["boot_id"], row["start_ticks"], row["since"])
    return holder if holder.is_alive else None
