"""--emulate: contradictions are refused before anything starts; what is emulated is never taken for the real board."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from tiny_daemon import tiny_python

from deploy import deployments
from deploy.cli import emulate, program, reaching
from deploy.cli.claims import Claimed, claim
from deploy.cli.deploy import next_commands
from deploy.cli.planning import Wishes, plan_for
from deploy.cli.reaching import Place
from deploy.emulator import emulated, user_lands
from deploy.emulator.emulated import Wanted
from deploy.emulator.kept import KeptBoard
from deploy.errors import NoHost, NotMeasured, UsageError
from deploy.folders import state_folder
from deploy.model.board import Board
from deploy.model.deployment import Deployment
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.report.silent import Silent

MACHINE = "QEMU virt, in a test"
LAYOUT = Layout("/root/.picoclaw")


@pytest.fixture(autouse=True)
def tiny(private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The daemons of emulated boards are tiny ones, and none outlives the test."""
    monkeypatch.setattr(sys, "executable", tiny_python(tmp_path))
    yield
    for board in emulated.listing():
        emulated.down(board.name)


def bring_up(board: Board) -> KeptBoard:
    """As if an image was there and QEMU had booted it."""
    settings = {
        "machine": MACHINE,
        "memory_kib": board.ram_kib,
        "disk_kib": user_lands.BUSYBOX.disk_kib,
        "health_port": 8123,
    }
    link = {"latency_s": 0.0, "bandwidth_bits": 0.0, "switches": {}}
    return emulated.KEEPER.up(board.name, settings | link)[0]


@pytest.fixture
def place() -> Place:
    """An emulated licheerv that is up."""
    bring_up(reaching.board_called("licheerv"))
    return reaching.choose("licheerv", "", emulate=True)


def seated(board: str, host: str, *, emulate: bool, keep: bool = False) -> Place:
    with reaching.seat(board, host, emulate=emulate, keep=keep, screen=Silent()) as place:
        return place


@pytest.mark.parametrize("find", [reaching.choose, seated])
def test_flags_that_contradict_each_other_are_refused_before_anything_starts(find: Any) -> None:
    with pytest.raises(UsageError, match="local is this machine already; --emulate is for"):
        find("local", "", emulate=True)
    with pytest.raises(UsageError, match="--emulate runs on this machine and takes no --host"):
        find("licheerv", "root@192.0.2.7", emulate=True)
    with pytest.raises(UsageError, match="local runs on this machine and takes no --host"):
        find("local", "root@192.0.2.7", emulate=False)
    with pytest.raises(UsageError, match="which board"):
        find("", "", emulate=True)
    assert emulated.listing() == []


def test_a_board_that_is_not_up_is_named_with_the_command_that_brings_it_up() -> None:
    with pytest.raises(UsageError, match=r"emulated board licheerv is not up.*deploy --board licheerv --emulate$"):
        reaching.choose("licheerv", "", emulate=True)
    with pytest.raises(UsageError, match=r"the board local is not up.*deploy --board local$"):
        reaching.choose("local", "")


def test_an_emulated_board_that_is_up_is_chosen_only_where_it_is_asked_for(place: Place) -> None:
    assert place.kept is not None and place.kept == emulated.status("licheerv")
    assert (place.host, place.machine) == (place.kept.host, MACHINE)
    with pytest.raises(NoHost):
        reaching.choose("licheerv", "")
    real = reaching.choose("licheerv", "root@192.0.2.7")
    assert (real.kept, real.machine, real.flags) == (None, "", "--board licheerv --host root@192.0.2.7")


@pytest.mark.parametrize("keep", [False, True])
def test_a_seat_takes_down_what_it_brought_up_unless_it_is_kept(keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated, "up", lambda board, wanted, watch: bring_up(board))
    with reaching.seat("licheerv", "", emulate=True, keep=keep, screen=Silent()) as place:
        assert place.kept is not None and place.kept == emulated.status("licheerv")
    assert (emulated.status("licheerv") is not None) is keep


def test_a_seat_at_a_board_that_is_up_leaves_it_up(place: Place) -> None:
    assert seated("licheerv", "", emulate=True, keep=False) == place
    assert emulated.status("licheerv") == place.kept


def test_every_hint_that_names_an_emulated_board_says_so(place: Place) -> None:
    title, *commands = next_commands(place)
    assert title == "Try next:" and any(" chat " in line for line in commands)
    for line in commands:
        assert "--board licheerv" in line
        assert ("--emulate" in line) is ("emulate.down" not in line), line
    with pytest.raises(NotMeasured, match="deploy --board licheerv --emulate makes one"):
        claim(place, LAYOUT, Claimed())


def test_an_emulated_board_has_its_own_bot_api_token_authority_and_health_port(place: Place) -> None:
    assert place.kept is not None
    config = plan_for(place, Wishes()).config
    assert (config.base_url, config.health_port) == ("https://127.0.0.1:8443", 8123)
    assert config.token.reveal() == place.kept.token().reveal()
    assert config.ca_pem == place.kept.ca_file.read_bytes()


def test_the_record_of_an_emulated_board_is_not_the_real_boards_at_the_same_address(place: Place) -> None:
    real = Place(place.board, place.host)
    for sha256, at in (("aa" * 32, place), ("bb" * 32, real)):
        deployments.remember(
            Deployment("licheerv", str(at.host), LAYOUT.prefix, "picoclaw", sha256, Limits(), 8123, machine=at.machine)
        )
    assert claim(place, LAYOUT, Claimed()).subject.sha256 == "aa" * 32
    assert claim(real, LAYOUT, Claimed()).subject.sha256 == "bb" * 32
    deployments.forget("licheerv", str(place.host), place.machine)
    assert deployments.recall("licheerv", str(place.host), place.machine) is None
    assert deployments.recall("licheerv", str(real.host)) is not None


def test_a_record_of_an_earlier_version_which_names_no_machine_is_the_boards_own(place: Place) -> None:
    deployments.remember(Deployment("licheerv", "root@192.0.2.7", "/p", "picoclaw", "aa" * 32, Limits(), 8080))
    path = next((state_folder() / "deployments").glob("*/last.json"))
    path.write_text(path.read_text().replace('  "machine": "",\n', ""))
    found = deployments.recall("licheerv", "root@192.0.2.7")
    assert found is not None and found.machine == ""


def test_a_reading_says_that_the_board_was_emulated(place: Place) -> None:
    held = claim(place, LAYOUT, Claimed(sha256="aa" * 32))
    assert held.circumstances["emulated machine"] == MACHINE
    assert "emulated machine" not in claim(Place(place.board, place.host), LAYOUT, Claimed("aa" * 32)).circumstances


def test_an_emulated_board_that_is_up_is_not_changed_by_what_is_asked_later(place: Place) -> None:
    assert emulated.up(place.board) == place.kept == emulated.up(place.board, Wanted())
    for wanted, what in (
        (Wanted(memory_kib=1), "memory"),
        (Wanted(disk_kib=1), "disk"),
        (Wanted(latency_s=0.04), "latency"),
        (Wanted(bandwidth_bits=1e6), "bandwidth"),
        (Wanted(user_land="systemd"), "user land"),
    ):
        with pytest.raises(UsageError, match=rf"up already, with another {what};.*emulate\.down --board licheerv"):
            emulated.up(place.board, wanted)
    with pytest.raises(UsageError, match="with another latency;"):  # nothing that nobody asked for is named
        emulated.up(place.board, Wanted(memory_kib=place.board.ram_kib, latency_s=0.04))
    assert emulated.up(place.board, Wanted(memory_kib=place.board.ram_kib)) == place.kept


@pytest.mark.parametrize("flag", [{"memory": "64MiB"}, {"disk": "32MiB"}, {"latency": "40ms"}, {"bandwidth": "10mbit"}])
def test_this_machine_takes_no_other_memory_disk_or_link(
    flag: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exit) as ended:
        emulate.up.body(Context(), board="local", **flag)
    assert ended.value.code == 2 and "it has the memory, the disk and the link that it has" in capsys.readouterr().err


def test_down_forgets_the_deployment_to_the_emulated_board_alone(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    about = Deployment("licheerv", str(place.host), "/p", "picoclaw", "aa" * 32, Limits(), 8080, machine=MACHINE)
    for record in (about, replace(about, machine="")):
        deployments.remember(record)
    emulate.down.body(Context(), board="licheerv")
    assert "licheerv is down" in capsys.readouterr().out
    assert emulated.status("licheerv") is None
    assert deployments.recall("licheerv", str(place.host), MACHINE) is None
    assert deployments.recall("licheerv", str(place.host)) is not None


def test_every_command_for_a_host_takes_emulate() -> None:
    root = program.namespace()
    flags = {name: {each.name for each in root[name].get_arguments()} for name in root.task_names}
    at_hosts = {name for name, has in flags.items() if {"board", "host"} <= has and not name.startswith("hosts.")}
    at_hosts -= {"memory.history", "memory.export"}  # they look through what is kept, and ask no host
    assert {"deploy", "status", "logs", "start", "stop", "restart", "uninstall", "memory.live"} <= at_hosts
    assert not [name for name in [*at_hosts, "chat"] if "emulate" not in flags[name]]
