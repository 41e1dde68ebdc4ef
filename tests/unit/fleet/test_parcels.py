"""Files that travel by their hash: whole or not at all, once, and never one that holds a secret."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import delta
from deploy.cli.fleet import deeds, deploying
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.spreading import HERE, Spread, _is_open, _There, refuse_unknown_boards, spread_of, workforce
from deploy.errors import BadCluster, MachineFault, UsageError
from deploy.fleet import parcels
from deploy.fleet.parcels import Parcel
from deploy.folders import cache_folder
from deploy.model.artifact import Artifact
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.model.target import Target

TOKEN = "1234567890:" + "Aa" * 17 + "A"
KEY = "-----BEGIN OPENSSH PRIVATE KEY----- of a test"
TEXT = b"#!/bin/sh\n"


class Workers:
    """Takes what would go to workers."""

    lost = False

    def __init__(self) -> None:
        self.taken: list[Parcel] = []

    def deliver(self, found: Sequence[Parcel]) -> None:
        self.taken += found

    def near(self, site: str) -> Executor:
        raise AssertionError("nothing is submitted here")


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    binary = tmp_path / "built" / "picoclaw"
    binary.parent.mkdir()
    binary.write_bytes(TEXT)
    digest = hashlib.sha256(TEXT).hexdigest()
    told = (("telegram",), "", "./cmd/picoclaw", "1.2", "go1.26.1", "", "d1" * 32, "ELF 64-bit LSB EM_RISCV, static")
    return Artifact(binary, "picoclaw", len(TEXT), digest, Target("riscv64"), *told)


def test_an_artifact_lies_where_a_build_leaves_it_so_that_a_difference_to_it_can_be_made(artifact: Artifact) -> None:
    sent = parcels.of_artifact(artifact)
    assert parcels.unpack(sent) == 2 and parcels.unpack(sent) == 0, "what is there already is left alone"
    here = parcels.artifact_here(artifact)
    assert here.path.read_bytes() == TEXT and here.path.is_relative_to(cache_folder())
    assert delta.built_with(artifact.sha256) == here


def test_what_is_not_what_it_says_or_was_torn_is_never_in_place(tmp_path: Path) -> None:
    whole = tmp_path / "ca.pem"
    whole.write_bytes(b"whole")
    parcel = parcels.of_file(whole)
    with pytest.raises(MachineFault, match="is not what was sent"):
        parcels.unpack([replace(parcel, content=b"whol")])
    place = Path(parcels.file_here(parcels.reference(parcel)))
    assert not place.exists()
    place.parent.mkdir(parents=True)
    place.write_bytes(b"wh")  # as a full disk leaves it
    assert parcels.unpack([parcel]) == 1 and place.read_bytes() == b"whole"
    assert parcels.file_here("/etc/ssl/own.pem") == "/etc/ssl/own.pem"


def test_no_task_and_no_parcel_holds_a_secret_whatever_it_is_read_from(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(TOKEN + KEY)
    secret.chmod(0o600)
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    board = tmp_path / "mine.toml"
    board.write_text('title = "mine"\ntoken_command = "cat secret"\n[target]\ngoarch = "host"\n')
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("SLIMDEPLOY_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    settings: dict[str, str | bool] = {
        "token_file": "secret", "api_key_file": "~/secret", "config_file": "secret", "identity": str(secret),
        "ca_file": "ca.pem",
    }  # fmt: skip
    members = [
        Member(f"h{number}", Host(f"10.0.0.{number}"), str(board), settings=settings, host_keys=("SHA256:" + "A" * 43,))
        for number in range(3)
    ]
    workers: Any = Workers()
    packed, order = _There(workers).ready(members, Order(artifacts=(artifact,)))
    assert len(workers.taken) == 3, "the binary, its manifest, and one CA bundle for three hosts"
    assert packed[0].settings["token_file"] == str(secret), "read at the same place there, not by the folder it runs in"
    assert packed[0].settings["api_key_file"] == "~/secret"
    assert str(packed[0].settings["ca_file"]).startswith(parcels.MARK)
    tasks: list[Any] = [
        (deed(order), member)
        for member in packed
        for deed in (deploying.deploying, deploying.rehearsing, deeds.reading, deeds.looking, deeds.running)
    ]
    tasks.append((deploying.leading_back(order, {"h0": "ab" * 8}), packed[0]))
    for deed, member in tasks:
        sent = pickle.dumps((deed, member))
        assert TOKEN.encode() not in sent and KEY.encode() not in sent
        assert pickle.loads(sent)[0].args == deed.args and pickle.loads(sent)[1] == member
    assert not any(TOKEN.encode() in parcel.content or KEY.encode() in parcel.content for parcel in workers.taken)

    # There: what the deed finds, by the same references.
    parcels.unpack(workers.taken)
    wishes = deploying.wishes_of(order, packed[0])
    assert Path(wishes.ca_file).read_text() == (tmp_path / "ca.pem").read_text()
    assert wishes.token.file == str(secret) and not wishes.tree_is_here
    assert order.boards[str(board)].token_command == "cat secret"


def test_a_tree_of_the_users_own_is_resolved_before_it_is_sent_where_there_is_none(
    artifact: Artifact, tmp_path: Path
) -> None:
    from deploy.cli.planning import source_of

    root = tmp_path / "mine"
    (root / "cmd" / "thing").mkdir(parents=True)
    workers: Any = Workers()
    given = Order(source={"source": str(root), "package": "./cmd/thing", "command": "-v"}, artifacts=(artifact,))
    packed, order = _There(workers).ready([Member("h", Host("10.0.0.1"), "licheerv")], given)
    here = source_of(deploying.wishes_of(given, packed[0]), ())
    (root / "cmd" / "thing").rmdir()
    (root / "cmd").rmdir()
    root.rmdir()
    assert source_of(deploying.wishes_of(order, packed[0]), ()) == here
    with pytest.raises(UsageError, match="there is no folder"):
        source_of(deploying.wishes_of(given, packed[0]), ())


def test_who_carries_it_out_is_one_of_them_and_is_named_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spread_of("", "") == HERE and not HERE
    assert spread_of("tls://10.0.0.2:8786", "") == Spread("tls://10.0.0.2:8786")
    assert spread_of("", "3") == Spread(local=3)
    for scheduler, local, said in (
        ("tls://10.0.0.2:8786", "2", "take one of them"),
        ("10.0.0.2:8786", "", "--scheduler takes"),
        ("inproc://x", "", "--scheduler takes"),
        ("", "0", "--local-cluster"),
    ):
        with pytest.raises(UsageError, match=said):
            spread_of(scheduler, local)
    monkeypatch.setattr("deploy.cli.fleet.spreading.find_spec", lambda name: None)
    with pytest.raises(BadCluster) as refused:
        spread_of("", "2")
    assert refused.value.extra == "fleet"


def test_threads_of_this_process_are_given_everything_as_it_is() -> None:
    members = (Member("h", Host("10.0.0.1"), "licheerv", settings={"ca_file": "ca.pem"}),)
    with workforce(HERE, members, 4) as force:
        assert force.ready(members, Order()) == (members, Order()) and not force.lost
        assert force.near("anywhere").submit(len, "four").result() == 4


def test_hosts_whose_board_nobody_knows_are_refused_before_workers_would_have_to_build() -> None:
    refuse_unknown_boards([Member("h", Host("10.0.0.1"), "licheerv")])
    with pytest.raises(UsageError, match=r"which board each host is.*: h0, h1, h2, h3, h4 and 2 more"):
        refuse_unknown_boards([Member(f"h{number}", Host("10.0.0.1")) for number in range(7)])


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("tcp://10.0.0.2:8786", True),
        ("tcp://fleet.example:8786", True),
        ("tls://10.0.0.2:8786", False),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("tcp://localhost:8786", False),
    ],
)
def test_a_port_that_others_reach_without_a_certificate_is_told(address: str, is_open: bool) -> None:
    assert _is_open(address) is is_open and spread_of(address, "").scheduler == address


def test_the_list_of_commands_loads_no_dask() -> None:
    code = "import sys; from deploy.cli.program import namespace; namespace(); print({'distributed'} & {*sys.modules})"
    repository = Path(parcels.__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, "set()"), ended.stderr
