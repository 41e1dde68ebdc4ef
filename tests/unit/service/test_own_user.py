"""A gateway that root starts runs as a user of its own: who makes it, what it may write, what goes with it. Real shells
in a mount namespace, whose /etc and /opt are the test's."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from scripted_boards import BLANK
from shells import BusyBoxTransport

from deploy.board_shell.becoming import BECOME
from deploy.board_shell.framing import Framing
from deploy.board_shell.observe import locate_script, parse_location
from deploy.board_shell.own_user import own_user_question, parse_own_user
from deploy.board_shell.quoting import quote
from deploy.board_shell.shell_functions import ABOVE
from deploy.model.facts import HostFacts, OwnUser
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.service.accounts import Account, choose_account, default_name
from deploy.service.detached import Detached
from deploy.service.managers import MANAGERS, manager_called
from deploy.service.own_user import forgetting, preparing
from deploy.steps.start import parse_pid_file
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Progress, Script

LAYOUT = Layout("/opt/picoclaw")
ABLE = OwnUser(exists=False, can_be_made=True, way="setpriv", reaches=True)

RELEASE = "mkdir -p /opt/picoclaw/releases/aaaa\n"

# Tells who it is, tries to write where it must not, and waits.
GATEWAY = """\
#!/bin/sh
{ id -un; id -G; cat "$3"; } >>/opt/said 2>&1
for file in /opt/picoclaw/run/supervise /opt/picoclaw/current /opt/picoclaw/new "$0"; do
    (: >>"$file") 2>/dev/null && echo "wrote $file" >>/opt/said
done
printf '1:AA 7\\n' >/opt/picoclaw/telegram.offset && echo 'kept the offset' >>/opt/said
trap 'exit 0' TERM
while :; do sleep 0.05; done
"""


def facts(own: OwnUser = ABLE, *, root: bool = True, file_system: str = "ext4") -> HostFacts:
    return replace(BLANK, is_root=root, own_user=own, place=replace(BLANK.place, file_system=file_system))


def chosen(
    seen: HostFacts, *, wanted: str = "", port: int = 18790, gateway: bool = True, here: bool = False
) -> Account:
    return choose_account(seen, LAYOUT, wanted=wanted, port=port, is_gateway=gateway, on_this_machine=here)


# --- which user


def test_a_gateway_whose_login_is_root_gets_a_user_of_its_own_called_as_the_service() -> None:
    assert chosen(facts()) == Account("picoclaw")
    assert chosen(facts(), wanted="bot") == Account("bot")
    assert default_name(Layout("/opt/picoclaw-test")) == "picoclaw-test"
    assert default_name(Layout("/opt/My Bot")) == "picoclaw", "no name that useradd takes"


def test_another_login_is_its_own_user_and_can_not_name_one() -> None:
    assert chosen(facts(root=False)) == Account()
    assert "only root" in chosen(facts(root=False), wanted="bot").reason


def test_who_wants_root_gets_root_without_a_reason() -> None:
    assert chosen(facts(), wanted="root") == Account()


@pytest.mark.parametrize(
    ("seen", "more", "why"),
    [
        (facts(file_system="vfat"), {}, "keeps no owners"),
        (facts(), {"port": 80}, "port 80 is root's"),
        (facts(replace(ABLE, can_be_made=False)), {}, "/etc/passwd can't be written"),
        (facts(replace(ABLE, way="")), {}, "nothing that starts a program as another user"),
        (facts(replace(ABLE, reaches=False)), {}, "no other user may reach /opt/picoclaw"),
        (facts(), {"gateway": False}, "not known"),
    ],
)
def test_where_it_stays_root_the_reason_is_said(seen: HostFacts, more: dict[str, bool], why: str) -> None:
    account = chosen(seen, **more)  # type: ignore[arg-type]
    assert account.name == "" and why in account.reason


def test_the_board_on_this_machine_gets_no_users() -> None:
    assert chosen(facts(), here=True) == Account()
    assert "no users for a trial" in chosen(facts(), wanted="bot", here=True).reason


def test_a_program_that_is_no_gateway_gets_one_only_where_it_is_named() -> None:
    assert chosen(facts(), wanted="bot", gateway=False) == Account("bot")


@pytest.mark.parametrize("name", [manager.name for manager in MANAGERS])
def test_every_manager_starts_it_as_that_user_and_notes_it(name: str) -> None:
    own, roots = (manager_called(name, LAYOUT, Limits(), user=user) for user in ("bot", ""))
    texts = "".join(text.content for text in own.texts())
    assert "user bot\n" in texts and ("User=bot\n" in texts or 'become "$way" "$own_user"' in texts)
    assert "own_user" not in "".join(text.content for text in roots.texts())


# --- on a board


@dataclass
class Board:
    """A mount namespace with an /etc and an /opt of its own, and a shell in it."""

    folder: Path
    transport: LocalTransport

    @property
    def prefix(self) -> Path:
        return self.folder / "opt" / "picoclaw"

    def run(self, text: str) -> str:
        completed = self.transport.run(Script("try", text))
        assert completed.exit_status == 0, completed.stderr.decode()
        return completed.stdout.decode()

    def users(self) -> dict[str, list[str]]:
        lines = (self.folder / "etc" / "passwd").read_text().splitlines()
        return {line.split(":")[0]: line.split(":")[1:] for line in lines}


class Inside(LocalTransport):
    """Runs scripts in the mount namespace of a process."""

    def __init__(self, pid: int, shell: str) -> None:
        super().__init__()
        self._enter = f"exec nsenter -t {pid} -m {shell} -c "

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        return super().run(replace(script, text=self._enter + quote(script.text)), progress)


@pytest.fixture(params=["sh", pytest.param("busybox", marks=pytest.mark.install_check)])
def board(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Board]:
    unshare = shutil.which("unshare")
    if os.geteuid() or unshare is None or subprocess.run([unshare, "-m", "true"], check=False).returncode:
        pytest.skip("this login may not make mount namespaces, which keep this machine's users out of it (run as root)")
    for name in ("etc", "opt"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false")
    (tmp_path / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (tmp_path / "etc" / "shadow").write_text("root:!:::::::\n")
    for name in ("login.defs", "nsswitch.conf", "ld.so.cache", "alternatives"):
        if (here := Path("/etc") / name).exists():
            (shutil.copytree if here.is_dir() else shutil.copy)(here, tmp_path / "etc" / name)
    shell = "sh"
    if request.param == "busybox":  # on a path that another user may take too
        BusyBoxTransport(tmp_path / "opt" / "applets")
        shell = "env PATH=/opt/applets /opt/applets/sh"
    (tmp_path / "opt" / "said").touch()
    (tmp_path / "opt" / "said").chmod(0o666)
    make = f"mount --bind {tmp_path}/etc /etc && mount --bind {tmp_path}/opt /opt && echo made && exec sleep 600"
    with subprocess.Popen([unshare, "-m", "sh", "-c", make], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"made\n"
        yield Board(tmp_path, Inside(holder.pid, shell))
        holder.kill()


def question() -> str:
    return f"{ABOVE}prefix=/opt/picoclaw uid=$(id -u)\n{own_user_question('picoclaw')}"


def test_preflight_finds_out_by_trying_and_changes_nothing(board: Board) -> None:
    before = board.users()
    own = parse_own_user(board.run(question()))
    assert (own.exists, own.can_be_made, own.reaches) == (False, True, True)
    assert own.way in ("setpriv", "chroot", "su", "start-stop-daemon", "setuidgid", "chpst")
    assert board.users() == before
    (board.folder / "opt").chmod(0o700)
    assert not parse_own_user(board.run(question())).reaches


def test_the_process_that_becomes_the_user_stays_the_same_one(board: Board) -> None:
    said = board.run(BECOME + "way_to nobody\nbecome \"$way\" nobody /bin/sh -c 'echo $$ $(id -u)' & wait; echo $!\n")
    became, child = said.splitlines()
    assert became == f"{child} 65534"


def test_the_user_that_is_made_has_no_password_no_shell_and_no_home(board: Board) -> None:
    board.run(RELEASE + preparing(LAYOUT, "picoclaw") + "prepare_user && prepare_user\n")
    made = board.users()["picoclaw"]
    assert made[3:] == ["slimdeploy for /opt/picoclaw", "/", "/bin/false"]
    assert 100 < int(made[1]) < 1000
    shadow = (board.folder / "etc" / "shadow").read_text()
    assert [line for line in shadow.splitlines() if line.startswith("picoclaw:!")], "no password opens it"
    assert board.users()["nobody"][0] == "x", "a last line without its newline stays a line of its own"
    board.run(forgetting(LAYOUT) + "\n")
    assert sorted(board.users()) == ["nobody", "root"]
    assert "picoclaw" not in (board.folder / "etc" / "group").read_text()


def test_a_user_that_was_there_before_stays(board: Board) -> None:
    with (board.folder / "etc" / "passwd").open("a") as passwd:
        passwd.write("\nbot:x:777:65534:somebody's:/:/bin/false\n")
    board.run(RELEASE + preparing(LAYOUT, "bot") + "prepare_user\n")
    board.run(forgetting(LAYOUT) + "\n")
    assert board.users()["bot"][1] == "777"


def test_the_gateway_reads_its_config_writes_its_offset_and_nothing_else(board: Board) -> None:
    binary = board.prefix / "releases" / "aaaa" / "picoclaw"
    binary.parent.mkdir(parents=True, mode=0o755)
    binary.write_text(GATEWAY)
    binary.chmod(0o755)
    (board.prefix / "config.json.next").write_text("the config\n")
    (board.prefix / "config.json.next").chmod(0o600)
    service = Detached(LAYOUT, Limits(), user="picoclaw")
    texts = [text.path for text in service.texts()]
    for script in (service.stage(texts), service.switch("aaaa", before=None, staged=[LAYOUT.config, *texts])):
        completed = board.transport.run(script)
        assert completed.exit_status == 0, completed.stderr.decode()
    process = parse_pid_file(completed.stdout)
    try:
        said = board.folder / "opt" / "said"
        uid = int(board.users()["picoclaw"][1])
        board.run("for i in 1 2 3 4 5 6 7 8 9; do grep -q offset /opt/said 2>/dev/null && exit; sleep 0.3; done")
        assert said.read_text().split("\n") == ["picoclaw", str(uid), "the config", "kept the offset", ""]
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
        for name in ("config.json", "telegram.offset"):
            seen = (board.prefix / name).stat()
            assert (seen.st_uid, stat.S_IMODE(seen.st_mode)) == (uid, 0o600), name
        assert board.prefix.stat().st_uid == 0
        framing = Framing.new()
        found = parse_location(framing, board.transport.run(locate_script([LAYOUT.prefix], framing)).stdout)
        assert found is not None and (found.manager, found.user) == ("detached", "picoclaw")
        assert stat.S_IMODE((board.prefix / "run").stat().st_mode) == 0o700
    finally:
        removed = board.transport.run(service.uninstall())
    assert removed.exit_status == 0, removed.stderr.decode()
    assert "picoclaw" not in board.users() and not board.prefix.exists()
