"""docs/json.md is the schema of the fleet's documents too: each key stands in its section, and no table has another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from deploy.cli.fleet import ended, state
from deploy.cli.fleet.telling import results_document
from deploy.fleet.rollouts import Rollouts
from deploy.model.rollout import Missed, Phase, Policy, Result, Rollout, State, Wave

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
ROLLOUT = Rollout(
    "20261128-101112-abcd",
    "2026-11-28T10:11:12Z",
    Phase.ENDED,
    Policy(("1", "rest"), ("max-rss<=5MiB",)),
    "fleet.toml",
    {"port": "8081"},
    (Wave(1, ("a",)), Wave(2, ("b", "c"))),
)
RESULTS = {
    "a": Result("a", State.DEPLOYED, 1, verdict="PASS", rss_kib=3000, rss_error_kib=0, hwm_kib=4000),
    "b": Result("b", State.FAILED, 2, problem="it did not become ready", cure="Look at its log.", exit_code=4),
}


def section(title: str) -> str:
    _, found, rest = PAGE.partition(f"\n## {title}\n")
    assert found, f"docs/json.md has no section {title!r}"
    return rest.partition("\n## ")[0]


def keys_told(title: str) -> set[str]:
    return {word.strip("`") for word in section(title).replace("(", " ").replace(",", " ").replace(")", " ").split()
            if word.startswith("`")}  # fmt: skip


def first_column(title: str) -> set[str]:
    rows = [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]
    return {word.strip("` ") for row in rows for word in row.split(",")}


def test_a_rollout() -> None:
    missed = (Missed("max-rss<=5MiB", "max is 6 MiB", ("a",)),)
    document = ended.document(ROLLOUT, RESULTS, missed, 4, 1.0) | {"carried_out_by": None}
    title = "fleet.deploy, fleet.resume, fleet.status --rollout"
    assert first_column(title) == set(document)
    inner: set[str] = set()
    for name in ("policy", "spread", "waves", "problems", "missed"):
        value = document[name]
        inner |= set(value[0] if isinstance(value, list) else value)
    assert inner <= keys_told(title)


def test_a_host_of_a_fleet_and_of_a_rollout_have_the_same_members() -> None:
    document = results_document(list(RESULTS.values()), 1.0)
    host = ended.document(ROLLOUT, RESULTS, (), 0, 1.0)["hosts"][0]
    assert set(document["hosts"][0]) == set(host)
    assert set(host) | set(document) == first_column("fleet.memory, fleet.run")


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "fleet.toml"
    file.write_text('[defaults]\nboard = "licheerv"\n[hosts.a]\naddress = "10.0.0.1"\n')
    monkeypatch.chdir(tmp_path)
    return file


def printed(task: Any, capsys: pytest.CaptureFixture[str], **flags: Any) -> dict[str, Any]:
    try:
        task.body(Context(), json=True, **flags)
    except Exit as end:
        assert end.code == 0
    return dict(json.loads(capsys.readouterr().out))


def test_what_this_machine_remembers(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Rollouts() as kept:
        kept.begin(replace(ROLLOUT, waves=(Wave(1, ("a",)),)))
    document = printed(state.status, capsys)
    assert first_column("fleet.status") == set(document)
    assert set(document["hosts"][0]) | set(document["rollout"]) <= keys_told("fleet.status")
    listed = printed(state.rollouts, capsys)
    assert first_column("fleet.rollouts") == set(listed)
    assert set(listed["rollouts"][0]) <= keys_told("fleet.rollouts")
