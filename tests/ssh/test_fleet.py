"""A fleet of real SSH servers: what its hosts run, what is read of them, and what is said of those that fail."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from program import Slimdeploy
from servers import Server, free_port, openssh

from deploy.model.secret import Secret
from deploy.telegram.served import ServedBotApi

pytestmark = [pytest.mark.install_check, pytest.mark.usefixtures("gateway_is_built")]

TOKENS = {name: f"{number}234567890:" + "Ff" * 17 + "F" for number, name in ((1, "one"), (2, "two"))}
HERE, THERE, DEAD = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@dataclass
class Fleet:
    """Two hosts that answer, and one where nobody does."""

    run: Slimdeploy
    server: Server
    inventory: Path
    board: Path

    def command(self, what: str, address: str, name: str, *more: str) -> None:
        host = f"{self.server.host.user}@{address}:{self.server.host.port}"
        flags = ("--board", str(self.board), "--host", host, "--identity", self.server.key)
        ended = self.run(what, *flags, "--prefix", str(self.inventory.parent / name), *more)
        assert ended.code == 0, ended.err


@pytest.fixture
def fleet(server_folder: Path, slimdeploy: Slimdeploy, tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        server = stack.enter_context(openssh(server_folder, f"ListenAddress {THERE}"))
        key = Path(str(server.host.known_hosts)).read_text().split(maxsplit=1)[1].strip()
        known = Path(os.environ["HOME"]) / ".ssh" / "known_hosts"
        known.parent.mkdir()
        known.write_text("".join(f"[{each}]:{server.host.port} {key}\n" for each in (HERE, THERE)))
        board = tmp_path / "thisboard.toml"
        board.write_text('title = "this machine"\nprefix = "/nowhere"\n[target]\ngoarch = "host"\n')
        inventory = tmp_path / "fleet.toml"
        lines = [
            "[defaults]",
            f"board = {json.dumps(str(board))}",
            f'ssh_user = "{server.host.user}"',
            f"ssh_port = {server.host.port}",
            f"identity = {json.dumps(server.key)}",
            f'host_key = "{" ".join(key.split()[:2])}"',
            "[groups.desk]",
        ]
        for name, address in (("one", HERE), ("two", THERE), ("dead", DEAD)):
            prefix = json.dumps(str(tmp_path / name))
            lines += [f"[hosts.{name}]", f'address = "{address}"', 'groups = ["desk"]', f"prefix = {prefix}"]
        inventory.write_text("\n".join(lines) + "\n")
        made = Fleet(slimdeploy, server, inventory, board)
        for name, address in (("one", HERE), ("two", THERE)):
            # A bot of its own each: Telegram gives a bot's messages to one gateway alone.
            token = TOKENS[name]
            api = stack.enter_context(ServedBotApi(Secret(token.encode())))
            slimdeploy.settings["TELEGRAM_BOT_TOKEN"] = token
            ca_file = tmp_path / f"{name}.pem"
            ca_file.write_bytes(api.ca_pem)
            made.command("deploy", address, name, "--service", "detached", "--port", str(free_port()), "--no-measure",
                         "--base-url", api.base_url, "--ca-file", str(ca_file))  # fmt: skip
            stack.callback(made.command, "uninstall", address, name)
        yield made


def test_each_host_has_its_reading_and_one_that_is_away_its_sentence_and_cure(fleet: Fleet) -> None:
    where = ("--inventory", str(fleet.inventory))
    listed = fleet.run("fleet.list", *where, "--json")
    assert [each["name"] for each in listed.document["hosts"]] == ["one", "two", "dead"]

    ended = fleet.run("fleet.memory", *where, "--json")
    assert ended.code == 4, ended.err
    hosts = {each["member"]: each for each in ended.document["hosts"]}
    assert {name: each["state"] for name, each in hosts.items()} == {
        "one": "unchanged",
        "two": "unchanged",
        "dead": "unreachable",
    }
    for name in ("one", "two"):
        assert hosts[name]["verdict"] == "PASS" and 1000 < hosts[name]["rss_kib"] < 5120, hosts[name]
        assert hosts[name]["document"]["evidence"], "each reading has its own evidence"
    assert hosts["one"]["document"]["process"] != hosts["two"]["document"]["process"]
    assert "nothing listens" in hosts["dead"]["problem"] and hosts["dead"]["cure"]
    assert not any(token in json.dumps(ended.document) for token in TOKENS.values())

    well = fleet.run("fleet.memory", *where, "--limit", "desk:!dead")
    assert well.code == 0 and "2 hosts in" in well.out and "2 PASS" in well.out
    tight = fleet.run("fleet.memory", *where, "--limit", "one", "--budget", "1MiB")
    assert tight.code == 1 and "1 FAIL" in tight.out


def test_a_script_runs_on_every_host_and_a_status_of_its_own_is_told(fleet: Fleet) -> None:
    where = ("--inventory", str(fleet.inventory), "--limit", "!dead")
    ended = fleet.run("fleet.run", *where, "--script", "echo hello; echo $SSH_CONNECTION", "--json")
    assert ended.code == 0, ended.err
    said = {each["member"]: each["document"]["stdout"].split() for each in ended.document["hosts"]}
    assert said["one"][0] == said["two"][0] == "hello"
    assert (said["one"][3], said["two"][3]) == (HERE, THERE), "each ran on its own host"
    failed = fleet.run("fleet.run", *where, "--script", "echo oh no >&2; exit 7")
    assert failed.code == 4 and "status 7: oh no" in failed.out
    slow = fleet.run("fleet.run", *where, "--script", "sleep 30", "--deadline", "1s")
    assert slow.code == 4 and "2 hosts: the board did not run what was asked within 1 s" in slow.out


def test_a_pinned_key_that_is_another_ones_is_refused(fleet: Fleet) -> None:
    text = fleet.inventory.read_text()
    key = text.partition('host_key = "')[2].partition('"')[0]
    other = key[:-6] + ("AAAAAA" if not key.endswith("AAAAAA") else "BBBBBB")
    fleet.inventory.write_text(text.replace("[hosts.one]", f'[hosts.one]\nhost_key = "{other}"'))
    ended = fleet.run("fleet.run", "--inventory", str(fleet.inventory), "--limit", "!dead", "--script", ":", "--json")
    hosts = {each["member"]: each for each in ended.document["hosts"]}
    assert ended.code == 4 and hosts["two"]["state"] == "unchanged"
    assert hosts["one"]["state"] == "failed" and "inventory" in hosts["one"]["cure"]
