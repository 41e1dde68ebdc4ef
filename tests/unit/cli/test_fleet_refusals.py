"""What the commands over a fleet refuse before anybody is contacted."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from deploy.cli.fleet.discover import discover
from deploy.cli.fleet.look import listing
from deploy.cli.fleet.provision import provision_fleet


@pytest.fixture(autouse=True)
def run_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without a terminal; what a command sets for SIGTERM in this process is set back."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def refused(capsys: pytest.CaptureFixture[str], task: object, **flags: object) -> str:
    with pytest.raises(Exit) as ended:
        task.body(Context(), **flags)  # type: ignore[attr-defined]
    assert ended.value.code == 2
    said = capsys.readouterr()
    return " ".join((said.out + said.err).split())


def test_wishes_that_can_not_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "boards.csv"
    table.write_text("name,address,hostname\none,root@192.0.2.1,-x\ntwo,root@192.0.2.2,b\n")
    said = refused(capsys, provision_fleet, inventory=str(table), yes=True)
    assert "--hostname is '-x'" in said and "boards.csv:2" in said
    said = refused(capsys, provision_fleet, inventory=str(table), hostname="board-1")
    assert "call all of them the same" in said
    flags = {"password_file": "a", "password_command": "b"}
    assert "take one of them" in refused(capsys, provision_fleet, inventory=str(table), **flags)
    flags = {"fingerprints": str(table), "accept_new_host_key": True}
    assert "contradict each other" in refused(capsys, provision_fleet, inventory=str(table), **flags)


def test_a_zone_that_is_none_is_answered_with_an_example_and_not_with_all_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hosts").write_text("root@192.0.2.1\n")
    said = refused(capsys, provision_fleet, inventory=str(tmp_path / "hosts"), time_zone="Mars/X")
    assert "cure: Name one such as Europe/Vienna." in said and "Known are" not in said


def test_one_host_is_counted_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hosts").write_text("root@192.0.2.1\n")
    listing.body(Context(), inventory=str(tmp_path / "hosts"))
    assert "1 host of " in capsys.readouterr().out


def test_nobody_is_asked_for_boards_without_a_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("zeroconf", reason="pip install 'slimdeploy[discover]' brings what asks by multicast DNS")
    said = refused(capsys, discover)
    assert "nobody was contacted" in said and "224.0.0.251" in said
    (tmp_path / "there.toml").touch()
    assert "already" in refused(capsys, discover, yes=True, write=str(tmp_path / "there.toml"))
    assert "a file such as fleet.toml" in refused(capsys, discover, yes=True, write=str(tmp_path / "there"))
