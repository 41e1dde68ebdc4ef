"""A new board behind a real SSH server is provisioned from a password's first login on; what is there is really changed.

The board is namespaces of this machine (`whole_board.py`): its /etc is changed, its users, its name, its SSH server.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from select import select

import pytest
from program import Ended, Slimdeploy
from servers import make_key
from whole_board import PASSWORD, WholeBoard, whole_board

pytestmark = pytest.mark.install_check

Make = Callable[..., WholeBoard]


@pytest.fixture
def make_board(tmp_path: Path) -> Iterator[Make]:
    """Boards of a test; they end with it."""
    with ExitStack() as stack:

        def make(kind: str, *settings: str) -> WholeBoard:
            folder = tmp_path / kind
            folder.mkdir()
            return stack.enter_context(whole_board(folder, kind, *settings))

        yield make


@pytest.fixture(params=["OpenSSH", "Dropbear"])
def board(request: pytest.FixtureRequest, make_board: Make) -> WholeBoard:
    return make_board(request.param, *(("UsePAM no",) if request.param == "OpenSSH" else ()))


@pytest.fixture
def user_key(private_home: Path) -> Path:
    """The user's own, where ssh looks for it."""
    (private_home / ".ssh").mkdir(mode=0o700)
    return make_key(private_home / ".ssh" / "id_ed25519")


class Provision:
    """The command, pointed at one board."""

    def __init__(self, slimdeploy: Slimdeploy, board: WholeBoard) -> None:
        self._slimdeploy = slimdeploy
        self._host = ("--host", board.address, "--accept-new-host-key")

    def __call__(self, *flags: str, password: str | None = PASSWORD) -> Ended:
        more = {} if password is None else {"SLIMDEPLOY_PASSWORD": password}
        return self._slimdeploy("provision", *self._host, *flags, env=more)

    def states(self, *flags: str, password: str | None = None) -> dict[str, str]:
        ended = self(*flags, "--json", password=password)
        assert ended.code == 0, ended.err
        return {each["name"]: each["state"] for each in ended.document["wishes"]}


WISHES = ("--hostname", "lichee-1", "--time-zone", "Asia/Kathmandu", "--user", "picoclaw", "--prefix", "/run/picoclaw")


def test_a_board_is_provisioned_by_password_once_and_needs_nothing_the_second_time(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    provision = Provision(slimdeploy, board)
    first = provision(*WISHES, "--ca", "--yes")
    assert first.code == 0, first.err
    assert "by password" in first.out and "proven by a second connection" in first.out
    assert PASSWORD not in first.out + first.err
    assert board.run("hostname; cat /etc/hostname").split() == ["lichee-1", "lichee-1"]
    assert board.run("grep 127.0.1.1 /etc/hosts").split()[1:] == ["lichee-1", "board.lan", "board"]
    assert board.run("date +%z") == "+0545"
    uid = board.run("id -u picoclaw")
    assert 0 < int(uid) < 1000
    assert board.run("ls -ldn /run/picoclaw").split()[2] == uid
    assert board.run("grep -c BEGIN /etc/ssl/certs/ca-certificates.crt") > "1"
    authorized = board.home / ".ssh" / "authorized_keys"
    assert authorized.read_text() == user_key.with_suffix(".pub").read_text()
    assert authorized.stat().st_mode & 0o777 == 0o600
    before = sorted((path, path.lstat().st_mtime_ns) for path in (*board.etc.rglob("*"), *board.home.rglob("*")))
    states = provision.states(*WISHES, "--ca")  # no --yes: there is nothing to ask for
    assert set(states.values()) == {"already"} and len(states) == 6
    assert sorted((path, path.lstat().st_mtime_ns) for path in (*board.etc.rglob("*"), *board.home.rglob("*"))) == before


def test_passwords_are_refused_after_the_key_was_proven_and_the_board_keeps_running(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    provision = Provision(slimdeploy, board)
    ended = provision("--no-password-login", "--yes")
    assert ended.code == 0, ended.err
    assert "one by password is refused" in ended.out.replace("\n", " ")
    assert not (board.etc / "slimdeploy-before").exists()
    assert provision.states("--no-password-login") == {"key": "already", "password_login": "already"}
    user_key.rename(user_key.with_name("gone"))
    stranger = make_key(user_key)
    locked = provision("--yes")
    assert locked.code == 4 and "takes no password for root" in locked.err, locked.err
    assert stranger.with_suffix(".pub").read_text() not in (board.home / ".ssh" / "authorized_keys").read_text()
