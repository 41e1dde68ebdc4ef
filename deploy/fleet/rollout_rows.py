"""Knows the tables in which rollouts are kept, and how nouns become rows and come back; `rollouts.py` asks for them.

Every attempt at a host is a row of its own, and the last one is what holds: nothing that was seen is lost by a retry.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from deploy import manifest
from deploy.database import Schema
from deploy.errors import BadRollouts
from deploy.model.rollout import OnFailure, Phase, Policy, Result, Rollout, State, Wave

_MIGRATIONS = (
    """
    CREATE TABLE rollout (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        begun_at TEXT NOT NULL,
        phase TEXT NOT NULL,
        policy TEXT NOT NULL,
        inventory TEXT NOT NULL,
        wishes TEXT NOT NULL,
        why TEXT NOT NULL,
        request TEXT NOT NULL DEFAULT '',
        pid INTEGER,
        boot_id TEXT,
        start_ticks INTEGER,
        since TEXT
    );
    CREATE TABLE member (
        rollout TEXT NOT NULL REFERENCES rollout (id),
        name TEXT NOT NULL,
        position INTEGER NOT NULL,
        wave INTEGER NOT NULL,
        PRIMARY KEY (rollout, name)
    ) WITHOUT ROWID;
    CREATE TABLE result (
        id INTEGER PRIMARY KEY,
        rollout TEXT NOT NULL,
        member TEXT NOT NULL,
        state TEXT NOT NULL,
        wave INTEGER NOT NULL,
        problem TEXT NOT NULL,
        cure TEXT NOT NULL,
        exit_code INTEGER NOT NULL,
        seconds REAL NOT NULL,
        board TEXT NOT NULL,
        host TEXT NOT NULL,
        release TEXT NOT NULL,
        release_before TEXT NOT NULL,
        verdict TEXT NOT NULL,
        rss_kib INTEGER,
        rss_error_kib INTEGER,
        hwm_kib INTEGER,
        document TEXT,
        FOREIGN KEY (rollout, member) REFERENCES member (rollout, name)
    );
    CREATE INDEX result_by_member ON result (rollout, member, id)
    """,
    "ALTER TABLE rollout ADD COLUMN artifacts TEXT NOT NULL DEFAULT '[]'",
)

SCHEMA = Schema(_MIGRATIONS, BadRollouts)

COLUMNS = tuple(field.name for field in fields(Result) if field.name != "record")
"""Of a result: the members of the noun, the document last; its record is kept elsewhere."""

PUT = f"INSERT INTO result (rollout, {', '.join(COLUMNS)}) VALUES (?{', ?' * len(COLUMNS)})"

LATEST = """FROM member LEFT JOIN result ON result.id =
    (SELECT max(id) FROM result WHERE rollout = member.rollout AND member = member.name)
    WHERE member.rollout = ?"""

ROLLOUT = ("id", "begun_at", "phase", "policy", "inventory", "wishes", "artifacts", "why")
"""The columns that `rollout_row` gives and `rollout_of` takes."""


def result_row(result: Result) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    found = {name: getattr(result, name) for name in COLUMNS} | {"state": result.state.value}
    if result.document is not None:
        found["document"] = json.dumps(result.document, separators=(",", ":"))
    return tuple(found.values())


def result_of(row: Sequence[Any]) -> Result:
    """The result in a row of COLUMNS, whose document may be left out."""
    found = dict(zip(COLUMNS, row, strict=False))
    if found.get("document") is not None:
        found["document"] = json.loads(found["document"])
    return Result(**found | {"state": State(found["state"])})


def rollout_row(rollout: Rollout) -> dict[str, str]:
    """Without its waves."""
    return {
        "id": rollout.id,
        "begun_at": rollout.begun_at,
        "phase": rollout.phase.value,
        "policy": json.dumps(asdict(rollout.policy) | {"on_failure": rollout.policy.on_failure.value}),
        "inventory": rollout.inventory,
        "wishes": json.dumps(rollout.wishes),
        "artifacts": json.dumps([manifest.document(each) | {"path": str(each.path)} for each in rollout.artifacts]),
        "why": rollout.why,
    }


def rollout_of(row: Sequence[Any], members: Sequence[tuple[int, str]]) -> Rollout:
    """The rollout in a row of ROLLOUT; `members` are its hosts in order, each with the number of its wave."""
    id_, begun_at, phase, policy, inventory, wishes, artifacts, why = row
    waves: dict[int, list[str]] = {}
    for wave, name in members:
        waves.setdefault(wave, []).append(name)
    return Rollout(
        id=id_,
        begun_at=begun_at,
        phase=Phase(phase),
        policy=_policy(json.loads(policy)),
        inventory=inventory,
        wishes=json.loads(wishes),
        waves=tuple(Wave(number, tuple(names)) for number, names in waves.items()),
        artifacts=tuple(manifest.parse(json.dumps(each), Path(each["path"])) for each in json.loads(artifacts)),
        why=why,
    )


def _policy(found: dict[str, Any]) -> Policy:
    lists = {name: tuple(found[name]) for name in ("waves", "gates")}
    return Policy(**found | lists | {"on_failure": OnFailure(found["on_failure"])})
