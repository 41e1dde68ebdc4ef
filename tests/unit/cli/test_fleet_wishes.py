"""What a rollout is asked for: bad wishes are refused before any host is asked; flags go before the inventory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from deploy.cli.fleet import rollout, state
from deploy.cli.fleet.deploying import wishes_of
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.overriding import overridden, refuse_shared_bots
from deploy.errors import UsageError
from deploy.model.fleet import Member
from deploy.model.host import Host

INVENTORY = """\
[defaults]
board = "licheerv"
token_file = "tokens/{name}"
[hosts.a]
address = "127.0.0.1:9"
[hosts.b]
address = "127.0.0.2:9"
"""


@pytest.fixture(autouse=True)
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet.toml").write_text(INVENTORY)
    monkeypatch.chdir(tmp_path)


def ended(task: Any, capsys: pytest.CaptureFixture[str], *given: str, **flags: Any) -> tuple[int, str, str]:
    code = 0
    try:
        task.body(Context(), *given, **flags)
    except Exit as end:
        code = end.code
    said = capsys.readouterr()
    return code, said.out, " ".join(said.err.split())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"waves": "0"}, "is no number of hosts"),
        ({"gate": ["p95-rss=5MiB"]}, "held to its bound with <="),
        ({"max_fail": "many"}, "is no number of hosts"),
        ({"on_failure": "panic"}, "--on-failure takes rollback, stop, continue"),
        ({"pause": "soon"}, "--pause takes a time"),
        ({"at_once": "0"}, "--at-once takes a whole number"),
        ({"measure": False, "gate": ["max-rss<=5MiB"]}, "need the readings that --no-measure leaves out"),
        ({"port": "99999"}, "--port has to be a whole number"),
        ({"token_file": "tokens/a"}, "a and b would be the same bot, whose token comes from token_file (tokens/a)"),
        ({"inventory": "nowhere.toml"}, "there is no inventory called"),
        ({"limit": "c"}, "'c'"),
    ],
)
def test_what_can_not_be_is_refused_before_a_rollout_is_begun(
    flags: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ended(rollout.deploy, capsys, **flags)
    assert (code, out) == (2, "") and said in err, err
    assert json.loads(ended(state.rollouts, capsys, json=True)[1]) == {"rollouts": []}


def test_a_rehearsal_asks_the_hosts_and_is_no_rollout(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    code, out, _ = ended(rollout.deploy, capsys, dry_run=True, json=True, waves="1")
    document = json.loads(out)
    assert code == 4 and [each["hosts"] for each in document["waves"]] == [["a"], ["b"]]
    assert [each["target"] for each in document["builds"]] == ["linux/riscv64/rva20u64"]
    assert [each["state"] for each in document["hosts"]] == ["unreachable", "unreachable"]
    assert json.loads(ended(state.rollouts, capsys, json=True)[1]) == {"rollouts": []}


def test_there_has_to_be_a_rollout_to_go_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    for task in (rollout.resume, rollout.pause, rollout.abort):
        code, _, err = ended(task, capsys, "last")
        assert code == 2 and "there is no rollout called 'last'" in err


def test_flags_go_before_what_the_inventory_says_and_name_each_hosts_own_file() -> None:
    said = {"token_file": "of/{name}", "port": "8081", "set_clock": True, "identity": "key"}
    members = (Member("a", Host("10.0.0.1"), settings=said), Member("b", Host("10.0.0.2"), settings={"port": "8082"}))
    flags = {"token_command": "pass show {name}@{address}", "port": "", "gc_percent": "30", "budget": "5MiB"}
    one, two = overridden(members, flags)
    assert one.settings == {
        "port": "8081",
        "set_clock": True,
        "identity": "key",
        "token_command": "pass show a@10.0.0.1",
        "gc_percent": "30",
    }
    assert two.settings["token_command"] == "pass show b@10.0.0.2"
    wishes = wishes_of(Order(source={"tags": "telegram"}), one)
    assert (wishes.port, wishes.gc_percent, wishes.tags, wishes.set_clock) == ("8081", "30", "telegram", True)
    assert (wishes.token.command, wishes.token.file) == ("pass show a@10.0.0.1", "")
    assert not wishes.token.asks, "nobody is asked for the token of one host among many"


def test_two_hosts_with_one_bot_are_refused_wherever_its_token_comes_from() -> None:
    def pair(**settings: str) -> tuple[Member, Member]:
        return tuple(Member(name, Host(name), settings=settings) for name in ("a", "b"))  # type: ignore[return-value]

    for settings, where in (
        ({}, "the environment"),
        ({"token_keyring": "bots/one"}, "token_keyring (bots/one)"),
        ({"config_file": "config.json"}, "config_file (config.json)"),
    ):
        with pytest.raises(UsageError, match="a and b would be the same bot") as caught:
            refuse_shared_bots(pair(**settings))
        assert where in caught.value.problem
    refuse_shared_bots((Member("a", Host("a"), settings={"token_file": "a"}), Member("b", Host("b"))))
