"""hosts.forget: the host of a board, or the key of a host that was reflashed; never both by chance."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from deploy import remembered
from deploy.cli import hosts
from deploy.transport import host_keys


def forget(**flags: str) -> int:
    try:
        return int(hosts.forget.body(Context(), **flags) or 0)
    except Exit as ended:
        return int(ended.code)


@pytest.fixture
def known(private_home: Path) -> Path:
    file = host_keys.own_file()
    file.parent.mkdir(parents=True)
    file.write_text("192.0.2.7 ssh-ed25519 AAAA\n[192.0.2.8]:2222 ssh-ed25519 AAAA\n")
    return file


@pytest.mark.parametrize("host", ["192.0.2.7", "root@192.0.2.7"])
def test_a_reflashed_hosts_key_is_forgotten_by_its_address(known: Path, host: str) -> None:
    assert forget(host=host) == 0
    assert known.read_text() == "[192.0.2.8]:2222 ssh-ed25519 AAAA\n"


@pytest.mark.parametrize("flags", [{}, {"board": "licheerv", "host": "192.0.2.7"}])
def test_nothing_is_forgotten_where_it_is_not_said_what(known: Path, flags: dict[str, str]) -> None:
    before = known.read_text()
    assert forget(**flags) == 2
    assert known.read_text() == before


def test_a_key_that_nobody_knows_is_not_said_to_be_forgotten(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = known.read_text()
    assert forget(host="192.0.2.99") == 2
    assert "no key of 192.0.2.99 is remembered in " in capsys.readouterr().err and known.read_text() == before


def test_no_host_is_remembered_for_a_board_that_is_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as ended:
        hosts.add.body(Context(), board="local", host="root@192.0.2.7")
    assert ended.value.code == 2 and remembered.hosts() == {}
    assert "local runs on this machine and takes no --host" in capsys.readouterr().err
