"""fleet.toml and plain lists: who is in them with which settings, and every fault at once with its line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import BadFile, SlimdeployError, UnknownName
from deploy.fleet.inventory import read
from deploy.model.fleet import Inventory

TOKEN = "123456789:" + "A" * 35


def of(tmp_path: Path, text: str, name: str = "fleet.toml") -> Inventory:
    path = tmp_path / name
    path.write_text(text)
    return read(path)


def test_a_range_gives_each_name_its_address_and_its_own_secret(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        '[defaults]\nboard = "licheerv"\nssh_user = "root"\ntoken_command = "pass show bots/{name}"\n'
        '[hosts."edge-[008:010]"]\naddress = "10.0.0.[8:10]"\n',
    )
    assert [(each.name, str(each.host)) for each in found.members] == [
        ("edge-008", "root@10.0.0.8"),
        ("edge-009", "root@10.0.0.9"),
        ("edge-010", "root@10.0.0.10"),
    ]
    assert found.members[1].settings["token_command"] == "pass show bots/edge-009"


def test_a_hosts_own_word_goes_before_its_groups_and_that_before_the_defaults(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        '[defaults]\nmemory_limit = "5MiB"\ngc_percent = "20"\nprefix = "/opt/a"\n'
        '[groups.north]\nmemory_limit = "6MiB"\nprefix = "/opt/b"\n'
        '[hosts.one]\ngroups = ["north"]\nprefix = "/opt/c"\n[hosts.two]\n',
    )
    one, two = found.members
    assert (one.settings["memory_limit"], one.settings["gc_percent"], one.settings["prefix"]) == (
        "6MiB",
        "20",
        "/opt/c",
    )
    assert (two.settings["memory_limit"], two.settings["prefix"]) == ("5MiB", "/opt/a")
    assert one.groups == {"north"} and found.groups == {"north": ("one",), "ungrouped": ("two",)}


def test_two_groups_that_contradict_each_other_are_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as bad:
        of(
            tmp_path,
            '[groups.a]\nsite = "x"\n[groups.b]\nsite = "y"\n[hosts.one]\ngroups = ["a", "b"]\n',
        )
    assert "site" in bad.value.faults[0] and "fleet.toml:" in bad.value.faults[0]


def test_every_fault_is_told_at_once_with_its_line_and_no_secret_is_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as bad:
        of(
            tmp_path,
            '[defaults]\nboard = "lichervv"\n[hosts.a]\naddress = "10.0.0.1"\ntokn_file = "x"\ngroups = ["nix"]\n'
            f'[hosts.b]\naddress = "10.0.0.1"\ntoken = "{TOKEN}"\n',
        )
    told = "\n".join(bad.value.faults)
    for line, word in ((2, "licheerv"), (5, "token_file"), (6, "nix"), (7, "same host"), (9, "token")):
        assert any(f"fleet.toml:{line}:" in fault and word in fault for fault in bad.value.faults), (line, told)
    assert TOKEN not in told


def test_this_machine_is_no_host_of_a_fleet_and_the_line_that_says_so_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as bad:
        of(tmp_path, '[defaults]\nboard = "licheerv"\n[hosts.a]\naddress = "10.0.0.1"\nboard = "local"\n')
    (fault,) = bad.value.faults
    assert "fleet.toml:5: " in fault and "'local' is the machine at which you sit, and no host of a fleet" in fault


def test_a_plain_list_has_ports_comments_and_ranges(tmp_path: Path) -> None:
    found = of(tmp_path, "# the desk\nroot@10.0.0.[1:2]:2222  # two of them\n\nroot@attic\n", "hosts")
    assert [str(each.host) for each in found.members] == ["root@10.0.0.1:2222", "root@10.0.0.2:2222", "root@attic"]


def test_a_file_that_is_not_there_is_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        read(tmp_path / "none.toml")


@given(st.text(max_size=200))
def test_no_text_makes_a_traceback(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("fleet.toml", "hosts"):
        with suppress(SlimdeployError, UnicodeEncodeError):
            of(folder, text, name)
