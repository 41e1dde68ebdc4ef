"""What was heard on a link: each board once, and an inventory that no stranger's words can break out of."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.fleet.discovered import Heard, fleet_toml, together
from deploy.fleet.inventory import read
from deploy.transport.mdns import Announced
from deploy.transport.neighbours import Neighbour


def test_a_board_with_several_addresses_is_asked_by_ipv4_alone() -> None:
    found = together(
        [Announced("a", "10.0.0.1", 22), Announced("a", "fe80::1%eth0", 22), Announced("six", "fe80::6%eth0", 22)],
        [
            Neighbour("10.0.0.1", "02:00:00:00:00:01", "eth0"),
            Neighbour("fe80::1%eth0", "02:00:00:00:00:01", "eth0"),
            Neighbour("fe80::2%eth0", "02:00:00:00:00:02", "eth0"),
            Neighbour("10.0.0.2", "02:00:00:00:00:02", "eth0"),
        ],
    )
    assert [(each.address, each.name, each.by) for each in found] == [
        ("10.0.0.1", "a", ("mdns", "neighbours")),
        ("fe80::6%eth0", "six", ("mdns",)),
        ("10.0.0.2", "", ("neighbours",)),
    ]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12), st.sampled_from([22, 2222])), max_size=6))
def test_whatever_is_said_the_inventory_has_these_hosts_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str, int]]
) -> None:
    heard = [
        Heard(f"10.0.0.{number}", port, name, "02:00:00:00:00:01", ("mdns",), f"SSH-{greeting}")
        for number, (name, greeting, port) in enumerate(said, 1)
    ]
    heard.append(Heard("fe80::1%eth0", 2222, greeting='SSH-2.0-x"\n[hosts.evil]'))
    path: Path = tmp_path_factory.mktemp("found") / "fleet.toml"
    path.write_text(fleet_toml(heard, "2026-11-28"), encoding="utf-8")
    members = read(path).members
    assert [str(member.host) for member in members] == [each.host for each in heard]
    assert all(not member.settings and not member.groups for member in members)
