"""Knows how a SQLite file of ours is opened: made for its user alone, in write-ahead mode, and brought to our version.

What is in it is the callers'. Sources: sqlite.org's pages on write-ahead logging (wal.html) and on PRAGMA user_version
(pragma.html).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import SlimdeployError

WAIT_S = 15.0
"""How long a writer waits for another one. One row takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file is to hold."""

    migrations: tuple[str, ...]
    """A script a version, never changed once it was released; version N is what the first N of them make."""
    fault: Callable[[str, str], SlimdeployError]
    """The error for a file that can't be used, from its path and a clause that says why."""

    @property
    def version(self) -> int:
        """Ours."""
        return len(self.migrations)


@contextmanager
def opened(path: Path, schema: Schema, *, writes: bool) -> Iterator[sqlite3.Connection]:
    """The file, of our version, for a moment; made where it is missing and `writes`. Raises the schema's fault."""
    with faults(path, schema), closing(connect(path, schema, writes=writes)) as database:
        yield database


def connect(path: Path, schema: Schema, *, writes: bool) -> sqlite3.Connection:
    """As `opened`, to be kept by its caller; any thread may use it, one at a time. Raises the schema's fault."""
    with faults(path, schema):
        if writes:
            _make(path)
        database = sqlite3.connect(path, timeout=WAIT_S, check_same_thread=False)
        try:
            _migrate(database, path, schema)
        except BaseException:
            database.close()
            raise
        return database


@contextmanager
def faults(path: Path, schema: Schema) -> Iterator[None]:
    """Whatever SQLite or the system finds wrong with the file is raised as the schema's fault."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise schema.fault(str(path), str(error)) from error


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite would make it as the umask says


def _migrate(database: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Bring the file to our version, one step a transaction; whoever comes second waits, and finds it done."""
    found = database.execute("PRAGMA user_version").fetchone()[0]
    if found > schema.version:
        known = f"(version {found}, this one knows {schema.version})"
        raise schema.fault(str(path), f"a newer slimdeploy has written it {known}")
    if found == schema.version:
        return
    database.execute("PRAGMA journal_mode = WAL")
    database.isolation_level = None  # no transaction but the ones that are begun here
    for number, script in enumerate(schema.migrations, 1):
        database.execute("BEGIN IMMEDIATE")  # waits for another process that does the same
        try:
            if database.execute("PRAGMA user_version").fetchone()[0] < number:
                for statement in script.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
    database.isolation_level = "DEFERRED"
