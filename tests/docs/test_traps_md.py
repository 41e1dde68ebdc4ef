"""docs/traps.md: each of its rows names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d+) \|.*\| `(test_\w+)` \|$", re.MULTILINE)


def test_every_trap_names_a_test_that_springs_it() -> None:
    rows = ROW.findall((ROOT / "docs" / "traps.md").read_text(encoding="utf-8"))
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1)) and len(rows) >= 24
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", tests, re.MULTILINE))
    assert {name for _, name in rows} <= there
