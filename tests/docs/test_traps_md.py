"""docs/traps.md: each of its rows names a test that is there, and that holds a verdict against the trap."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d+) \|.*\| `(test_\w+)` \|$", re.MULTILINE)
JUDGES = re.compile(r'judge\(|\brefus(?:ed|al)\(|"verdict"|verdict\.outcome')
"""The verdict itself, or what a module's own helpers or a command's document make of it."""


def sources_of_tests() -> dict[str, str]:
    found = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = ast.get_source_segment(text, node) or ""
    return found


def test_every_trap_names_a_test_that_springs_it_and_judges() -> None:
    rows = ROW.findall((ROOT / "docs" / "traps.md").read_text(encoding="utf-8"))
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1)) and len(rows) >= 24
    there = sources_of_tests()
    assert {name for _, name in rows} <= set(there)
    assert [name for _, name in rows if not JUDGES.search(there[name])] == []
