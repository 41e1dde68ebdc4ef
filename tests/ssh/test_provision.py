"""A new board behind a real SSH server is provisioned from a password's first login on, for real.

The board is namespaces of this machine (`whole_board.py`): its /etc is changed, its users, its name, its SSH server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from program import Ended, Slimdeploy
from servers import make_key
from terminals import on_a_terminal
from whole_board import PASSWORD, WholeBoard, whole_board

from deploy.provisioning.password_login import GUARD_S
from deploy.transport import ssh
from deploy.transport.protocol import Script

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

    def __init__(self, slimdeploy: Slimdeploy, board: WholeBoard, user: str = "root") -> None:
        self._slimdeploy = slimdeploy
        self._host = ("--host", board.address.replace("root@", f"{user}@"), "--accept-new-host-key")

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
    assert (
        sorted((path, path.lstat().st_mtime_ns) for path in (*board.etc.rglob("*"), *board.home.rglob("*"))) == before
    )


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


def test_the_password_is_taken_where_the_server_asks_for_it_by_keyboard_interactive(
    make_board: Make, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    board = make_board("OpenSSH", "UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes")
    provision = Provision(slimdeploy, board)
    wrong = provision("--yes", password="not it")
    assert wrong.code == 4 and "does not take that password for root" in wrong.err, wrong.err
    ended = provision("--yes", "--no-password-login")
    assert ended.code == 0 and "by password" in ended.out, ended.err
    assert provision.states("--no-password-login") == {"key": "already", "password_login": "already"}


def test_a_wrong_password_changes_nothing_and_says_so(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    ended = Provision(slimdeploy, board)("--yes", "--hostname", "other", password="Tr0ub4dor")
    assert ended.code == 4 and "does not take that password for root" in ended.err
    assert "Tr0ub4dor" not in ended.err + ended.out and "--host user@address" in ended.err
    assert not (board.home / ".ssh").exists() and board.run("hostname") == "board"


def test_a_login_that_is_not_root_gets_its_key_and_a_folder_of_its_own_and_no_more(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    provision = Provision(slimdeploy, board, "pi")
    refused = provision("--yes", "--hostname", "other", "--user", "picoclaw", "--swap", "off")
    assert refused.code == 4 and "only root can name it other" in refused.err and "--host root@" in refused.err
    assert "only root can make a system user picoclaw" in " ".join(refused.err.split())
    assert board.run("ls -A /run/pi; hostname").split() == ["board"], "nothing at all was changed"
    ended = provision("--yes", "--prefix", "~/.picoclaw")
    assert ended.code == 0 and "as pi, by password" in ended.out, ended.err
    assert board.run("ls -ldn /run/pi/.ssh /run/pi/.picoclaw | cut -d ' ' -f 1,3").splitlines() == [
        "drwxr-xr-x 1000",
        "drwx------ 1000",
    ]
    assert set(provision.states("--prefix", "~/.picoclaw").values()) == {"already"}


def test_a_dry_run_prints_every_script_and_changes_nothing(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path, tmp_path: Path
) -> None:
    provision = Provision(slimdeploy, board)
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text(PASSWORD + "\n")
    flags = ("--password-file", str(file), *WISHES, "--no-password-login", "--dry-run")
    ended = provision(*flags, password=None)
    assert ended.code == 0, ended.err
    for part in ("useradd", "authorized_keys", "/proc/sys/kernel/hostname", "Asia/Kathmandu", "Nothing was changed."):
        assert part in ended.out
    document = provision(*flags, "--json", password=None).document
    assert {each["state"] for each in document["wishes"]} == {"to do"} and document["changed"] is False
    assert document["logged_in_by"] == "password" and PASSWORD not in str(document) + ended.out
    assert not (board.home / ".ssh").exists() and board.run("hostname") == "board"
    file.chmod(0o644)
    open_file = provision(*flags, password=None)
    assert open_file.code == 2 and "can be read by others" in open_file.err


def test_without_a_terminal_and_without_yes_nothing_is_changed(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    ended = Provision(slimdeploy, board)("--hostname", "other")
    assert ended.code == 2 and "--yes makes them without asking" in ended.err
    assert "1. put your key SHA256:" in ended.out and "2. name it other" in ended.out
    assert not (board.home / ".ssh").exists()


def test_without_any_key_the_cure_is_named_before_a_password_is_asked_for(
    board: WholeBoard, slimdeploy: Slimdeploy
) -> None:
    ended = Provision(slimdeploy, board)("--yes")
    assert ended.code == 2 and "ssh-keygen -t ed25519" in ended.err
    assert not (board.home / ".ssh").exists()


def test_a_key_is_added_to_those_that_are_there_and_what_is_too_open_is_closed(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    folder = board.home / ".ssh"
    folder.mkdir()
    (folder / "authorized_keys").write_text("ssh-ed25519 AAAAsomebodyelses other")  # and no newline
    (folder / "authorized_keys").chmod(0o664)
    folder.chmod(0o777)
    ended = Provision(slimdeploy, board)("--yes")
    assert ended.code == 0 and "the server would not trust it" in " ".join(ended.out.split()), ended.err
    lines = (folder / "authorized_keys").read_text().splitlines()
    assert lines == ["ssh-ed25519 AAAAsomebodyelses other", user_key.with_suffix(".pub").read_text().strip()]
    assert folder.stat().st_mode & 0o022 == 0 == (folder / "authorized_keys").stat().st_mode & 0o022


def test_password_login_is_put_back_where_no_key_opens_the_server_any_more(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    provision = Provision(slimdeploy, board)
    assert provision("--yes").code == 0
    if board.server.kind == "OpenSSH":  # what the owner wrote takes effect at the next reload, which is ours
        settings = board.etc / "ssh" / "sshd_config"
        settings.write_text(settings.read_text() + "PubkeyAuthentication no\n")
    else:  # a start script that does more than it should
        script = board.etc / "init.d" / "S50dropbear"
        script.write_text(script.read_text().replace('restart) "$0" stop', 'restart) rm -rf /root/.ssh; "$0" stop'))
    before = {path: path.read_bytes() for path in board.etc.rglob("*") if path.is_file()}
    ended = provision("--no-password-login", "--yes")
    assert ended.code == 4 and "put back as it was" in ended.err, ended.err
    assert {path: path.read_bytes() for path in board.etc.rglob("*") if path.is_file()} == before
    assert not (board.etc / "slimdeploy-before").exists()
    again = provision("--dry-run")
    assert again.code == 0 and "as root, by password" in again.out, again.err


@pytest.mark.parametrize("case", ["said before the Include", "no Include at all"])
def test_openssh_is_told_where_the_first_value_counts(
    case: str, make_board: Make, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    board = make_board("OpenSSH", "UsePAM no")
    settings = board.etc / "ssh" / "sshd_config"
    included = "PasswordAuthentication yes\nInclude" if case.startswith("said") else "# Include"
    settings.write_text(settings.read_text().replace("Include", included, 1))
    owner = settings.read_text()
    ended = Provision(slimdeploy, board)("--no-password-login", "--yes")
    assert ended.code == 0 and "one by password is refused" in " ".join(ended.out.split()), ended.err
    assert settings.read_text().endswith(owner) and "PasswordAuthentication no\n" in settings.read_text()
    assert list((board.etc / "ssh" / "sshd_config.d").iterdir()) == []


def test_openssh_settings_that_are_broken_are_not_loaded(
    make_board: Make, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    board = make_board("OpenSSH", "UsePAM no")
    provision, settings = Provision(slimdeploy, board), board.etc / "ssh" / "sshd_config"
    script = password_login_script(provision)
    settings.write_text(settings.read_text() + "NoSuchKeyword yes\n")
    owner = settings.read_text()
    ended = provision("--no-password-login", "--yes")
    assert ended.code == 4 and "sshd -t on the board tells what is wrong" in ended.err, ended.err
    assert provision("--yes").code == 0
    with closing(ssh.connect(replace(board.server.host, key_file=str(user_key)))) as transport:
        done = transport.run(Script("as if they broke after the question", script, deadline_s=20))
    assert done.exit_status != 0 and b"NoSuchKeyword" in done.stderr
    assert settings.read_text() == owner and list((board.etc / "ssh" / "sshd_config.d").iterdir()) == []
    # A server that had been told to read them would be gone now.
    assert provision("--dry-run").code == 0


def test_the_board_puts_password_login_back_by_itself_where_nobody_settles_it(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    provision = Provision(slimdeploy, board)
    assert provision("--yes").code == 0
    script = password_login_script(provision)
    assert f"sleep {GUARD_S}" in script
    host = replace(board.server.host, key_file=str(user_key))
    other = str(make_key(user_key.with_name("other")))
    soon = script.replace(f"sleep {GUARD_S}", "sleep 12")  # the next command comes before, on a busy machine too
    with closing(ssh.connect(host)) as transport:
        done = transport.run(Script("as printed", soon, deadline_s=20))
        assert done.exit_status == 0, done.stderr
    assert provision("--dry-run", "--identity", other).code == 4
    until_s = time.monotonic() + 60
    while (board.etc / "slimdeploy-before").exists():
        assert time.monotonic() < until_s
        time.sleep(0.1)
    assert provision("--dry-run", "--identity", other).code == 0


def test_on_a_terminal_the_password_is_asked_for_unseen_and_every_change_confirmed(
    board: WholeBoard, slimdeploy: Slimdeploy, user_key: Path
) -> None:
    command = ("provision", "--host", board.address, "--accept-new-host-key", "--hostname", "lichee-2")
    said = on_a_terminal(slimdeploy, command, (("kept nowhere): ", PASSWORD), ("[y/N] ", "n")))
    assert "as you said" in said and PASSWORD not in said and not (board.home / ".ssh").exists()
    said = on_a_terminal(slimdeploy, command, (("kept nowhere): ", PASSWORD), ("[y/N] ", "y")))
    assert "Make these 2 changes?" in said and board.run("hostname") == "lichee-2"


def password_login_script(provision: Provision) -> str:
    """What a dry run prints, which is what would run."""
    dry = provision("--no-password-login", "--dry-run", "--json").document
    return next(str(each["script"]) for each in dry["wishes"] if each["name"] == "password_login")
