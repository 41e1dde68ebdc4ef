"""A fleet of new boards behind real SSH servers: their keys are reviewed, then each is provisioned from its password.

The boards are namespaces of this machine (`whole_board.py`): their /etc is changed, their names, their keys.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from program import Slimdeploy
from servers import free_port, make_key
from terminals import on_a_terminal
from whole_board import PASSWORD, WholeBoard, whole_board

pytestmark = pytest.mark.install_check


@dataclass
class Boards:
    """Two boards that are new, and one that is off."""

    one: WholeBoard
    two: WholeBoard
    csv: Path
    run: Slimdeploy

    def table(self, columns: str, *more: str) -> tuple[str, str]:
        """The inventory anew; `more` are the further cells of each host."""
        hosts = {"one": self.one.address, "two": self.two.address, "off": f"root@127.0.0.1:{free_port()}"}
        lines = [f"{name},{hosts[name]}{cells}" for name, cells in zip(hosts, more or ("",) * 3, strict=True)]
        self.csv.write_text("\n".join([f"name,address{columns}", *lines]) + "\n")
        self.csv.chmod(0o600)
        return ("--inventory", str(self.csv))

    def keys(self) -> str:
        lines = []
        for name, board in (("one", self.one), ("two", self.two)):
            blob = base64.b64decode(Path(str(board.server.host.known_hosts)).read_text().split()[2])
            digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
            lines.append(f"{name} SHA256:{digest}\n")
        return "".join(lines)


@pytest.fixture
def boards(tmp_path: Path, slimdeploy: Slimdeploy, private_home: Path) -> Iterator[Boards]:
    (private_home / ".ssh").mkdir(mode=0o700)
    make_key(private_home / ".ssh" / "id_ed25519")
    with ExitStack() as stack:

        def board(kind: str, *settings: str) -> WholeBoard:
            folder = tmp_path / kind
            folder.mkdir()
            return stack.enter_context(whole_board(folder, kind, *settings))

        made = Boards(board("OpenSSH", "UsePAM no"), board("Dropbear"), tmp_path / "boards.csv", slimdeploy)
        yield made


def test_boards_are_made_ready_from_a_table_and_need_nothing_the_second_time(boards: Boards, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    for name in ("one", "two"):
        (passwords / name).parent.mkdir(exist_ok=True)
        (passwords / name).touch(0o600)
        (passwords / name).write_text(PASSWORD + "\n")
    cells = [f",{passwords}/{{name}},{more}" for more in ("{name},yes", "deux,", "{name},")]
    where = boards.table(",password_file,hostname,no password login", *cells)
    keys = tmp_path / "keys.txt"
    keys.write_text("# from their consoles\n" + boards.keys())

    unseen = boards.run("fleet.provision", *where, "--yes", "--json")
    assert unseen.code == 4, unseen.err
    told = {each["member"]: each for each in unseen.document["hosts"]}
    assert {name: each["state"] for name, each in told.items()} == {
        "one": "failed",
        "two": "failed",
        "off": "unreachable",
    }
    assert "has not been seen before" in told["one"]["problem"] and "--fingerprints FILE" in told["one"]["cure"]
    assert {f"{each['members'][0]} {each['fingerprint']}\n" for each in unseen.document["host_keys"]} == set(
        boards.keys().splitlines(keepends=True)
    )

    rehearsed = boards.run("fleet.provision", *where, "--fingerprints", str(keys), "--dry-run")
    assert rehearsed.code == 4 and "Nothing was changed." in rehearsed.out, rehearsed.err
    for part in ("name it one (it is called board now)", "name it deux", "/proc/sys/kernel/hostname", "turn password"):
        assert part in " ".join(rehearsed.out.split()), rehearsed.out
    assert boards.one.run("hostname") == boards.two.run("hostname") == "board"

    made = boards.run("fleet.provision", *where, "--yes", "--time-zone", "Asia/Kathmandu", "--json")
    assert made.code == 4, made.err
    told = {each["member"]: each for each in made.document["hosts"]}
    assert {name: each["state"] for name, each in told.items()} == {
        "one": "changed",
        "two": "changed",
        "off": "unreachable",
    }
    assert made.document["host_keys"] == [], "they are known by now"
    assert told["one"]["provision"]["logged_in_by"] == "password" and told["off"]["cure"]
    assert [each["state"] for each in told["one"]["provision"]["wishes"]] == ["changed"] * 4
    assert (boards.one.run("hostname"), boards.two.run("hostname")) == ("one", "deux")
    assert boards.two.run("date +%z") == "+0545"
    assert "PasswordAuthentication no" in "".join(
        file.read_text() for file in (boards.one.etc / "ssh" / "sshd_config.d").iterdir()
    )
    assert PASSWORD not in unseen.out + rehearsed.out + made.out + made.err

    again = boards.run("fleet.provision", *where, "--time-zone", "Asia/Kathmandu", "--limit", "!off")
    assert again.code == 0 and "Nothing is to be changed." in again.out and "2 unchanged" in again.out, again.err


def test_a_key_that_is_not_the_one_of_the_list_is_refused_and_the_others_go_on(
    boards: Boards, private_home: Path, tmp_path: Path
) -> None:
    where = boards.table("")
    alias = f"Host attic\nHostName 127.0.0.1\nPort {boards.one.server.host.port}\n"
    (private_home / ".ssh" / "config").write_text(alias)
    boards.csv.write_text(boards.csv.read_text().replace(boards.one.address, "root@attic"))
    keys = tmp_path / "keys.txt"
    first, _ = boards.keys().splitlines()
    keys.write_text(f"{first}\ntwo {first.split()[1]}\n")
    (tmp_path / "one.password").write_text(PASSWORD + "\nsecond line\n")
    ended = boards.run(
        "fleet.provision", *where, "--limit", "!off", "--fingerprints", str(keys), "--yes",
        "--password-command", f"cat {tmp_path}/{{name}}.password", "--hostname", "{name}-a",
        env={"SLIMDEPLOY_PASSWORD": "not looked at"},
    )  # fmt: skip
    said = " ".join(ended.out.split())
    assert ended.code == 4 and "1 changed, 1 failed" in said, ended.out + ended.err
    assert "keys.txt expects SHA256:" in said and "between you and the board" in said
    assert (boards.one.run("hostname"), boards.two.run("hostname")) == ("one-a", "board")
    assert not (boards.two.home / ".ssh").exists()


def test_on_a_terminal_keys_are_compared_and_one_password_is_asked_for(boards: Boards) -> None:
    said = on_a_terminal(
        boards.run,
        ("fleet.provision", *boards.table(""), "--limit", "!off"),
        (("Trust these 2 keys? [y/N] ", "y"), ("another for each): ", PASSWORD), ("[y/N] ", "y")),
    )
    assert "2 hosts: 2 changed" in said and PASSWORD not in said, said
    for board in (boards.one, boards.two):
        assert (board.home / ".ssh" / "authorized_keys").exists()
