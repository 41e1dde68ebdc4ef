"""Wishes ask under real shells and change nothing; whatever a board answers, each says what follows, or refuses."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shells import BusyBoxTransport, DashTransport

from deploy.board_shell.framing import Section
from deploy.errors import BadAnswer, UnknownName
from deploy.model.public_key import PublicKey
from deploy.provisioning import asking
from deploy.provisioning.account import Folder, SystemUser, user_fault
from deploy.provisioning.ca_bundle import CaBundle
from deploy.provisioning.hostname import Hostname, hostname_fault
from deploy.provisioning.password_login import PasswordLogin
from deploy.provisioning.public_key import TakenKey
from deploy.provisioning.swap import FILE, Swap, Zram
from deploy.provisioning.time_zone import time_zone
from deploy.provisioning.wish import Already, Change, Impossible, Judged, Wish
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Transport

KEY = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIE" + "k" * 42, "me")
PEM = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
WISHES: tuple[Wish, ...] = (
    TakenKey(KEY),
    Hostname("lichee-1"),
    time_zone("Europe/Vienna"),
    SystemUser("picoclaw"),
    Folder("/opt/picoclaw", "picoclaw"),
    Swap(65536),
    Swap(0),
    Zram(65536),
    Zram(0),
    CaBundle(PEM),
    PasswordLogin(),
)
BY_NAME = {wish.name: wish for wish in WISHES}


def judged(wish: Wish, text: str) -> Judged:
    return wish.judge(Section(wish.name, text, 0))


@pytest.fixture(params=["sh", "dash", "busybox"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Transport:
    """This machine as a board."""
    if request.param == "busybox":
        return BusyBoxTransport(tmp_path / "applets")
    return DashTransport() if request.param == "dash" else LocalTransport()


def test_everything_is_asked_in_one_round_trip_and_nothing_is_changed(board: Transport, private_home: Path) -> None:
    found = asking.ask(board, [wish for wish in WISHES if getattr(wish, "kib", 1)])
    assert board.round_trips == 1 and found.is_root == (os.getuid() == 0)
    by_name = {wish.name: each for wish, each in found.judged}
    hostname = by_name["hostname"]
    assert isinstance(hostname, Change)
    assert Path("/proc/sys/kernel/hostname").read_text().strip() in hostname.title
    assert all(each for each in by_name.values())
    assert list(private_home.iterdir()) == [] or not (private_home / ".ssh").exists()


@given(
    st.sampled_from(WISHES), st.one_of(st.text(), st.from_regex(r"(?:[a-z]{2,6} [^\n]{0,40}\n){0,8}", fullmatch=True))
)
def test_whatever_a_board_answers_it_steers_no_terminal_and_breaks_nothing(wish: Wish, text: str) -> None:
    try:
        found = judged(wish, text)
    except BadAnswer:
        return
    said = {Already: "reason", Change: "title", Impossible: "problem"}[type(found)]
    assert getattr(found, said).isprintable()


@given(st.text())
def test_a_script_never_holds_what_the_board_said(text: str) -> None:
    # What a change does depends on the answer only by choice among texts of ours.
    for wish in (BY_NAME["hostname"], BY_NAME["user"], BY_NAME["prefix"], Swap(65536), Zram(65536)):
        try:
            found = judged(
                wish, f"kernel {text}\nfile {text}\nis {text}\nswap 1 {text}\nfree 99999999\ncan yes\n{text}"
            )
        except BadAnswer:
            continue
        if isinstance(found, Change) and wish.name != "user":
            fresh = judged(wish, "free 99999999\ncan yes\n")
            assert isinstance(fresh, Change) and found.script.text == fresh.script.text


def test_a_folder_is_made_closed_and_left_alone_the_second_time(board: Transport, tmp_path: Path) -> None:
    wish = Folder(f"{tmp_path}/a folder/deep")
    (_, first) = asking.ask(board, (wish,)).judged[0]
    assert isinstance(first, Change) and "make the folder" in first.title
    assert asking.make(board, wish, first) == Already(f"the folder {wish.path} belongs to this login")
    made = Path(wish.path)
    made.chmod(0o777)
    (_, loose) = asking.ask(board, (wish,)).judged[0]
    assert isinstance(loose, Change)
    asking.make(board, wish, loose)
    assert stat.S_IMODE(made.stat().st_mode) & 0o022 == 0


def test_a_folder_is_no_link_and_no_file(board: Transport, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/etc")
    for name in ("file", "link"):
        found = asking.ask(board, (Folder(str(tmp_path / name)),)).judged[0][1]
        assert found == Impossible("not_a_folder", f"{tmp_path / name} is a {name} there, and no folder")


@pytest.mark.parametrize(
    ("wish", "text", "reason"),
    [
        (BY_NAME["hostname"], "kernel lichee-1\nfile lichee-1", "it is called lichee-1"),
        (BY_NAME["time_zone"], "link /usr/share/zoneinfo/Europe/Vienna\nclock 1750000000 +0200", "UTC+0200 now"),
        (BY_NAME["time_zone"], "zone Europe/Vienna\nclock 1764000000 +0100", "UTC+0100 now"),
        (BY_NAME["user"], "user 101 101 /bin/false\ntool useradd", "uid 101"),
        (BY_NAME["prefix"], "wanted 101\nis drwxr-xr-x 2 101 0 4096 Jan 1 1970 /opt/picoclaw/.", "belongs to picoclaw"),
        (Swap(65536), "swap 65532 /dev/mmcblk0p3\nboot no", "/dev/mmcblk0p3"),
        (Swap(65536), f"swap 65532 {FILE}\nboot yes", FILE),
        (Swap(65536), f"swap 65532 {FILE}\nboot never", "until its next start"),
        (Swap(0), "swap 999 /dev/zram0\nboot no", "no swap on its storage"),
        (Zram(65536), "swap 65532 /dev/zram0\nboot no", "/dev/zram0"),
        (Zram(0), "swap 65532 /dev/sda2\nboot no", "no swap in compressed memory"),
        (BY_NAME["ca"], "/etc/ssl/cert.pem", "/etc/ssl/cert.pem"),
        (PasswordLogin(), "server openssh\ntakes no\ntakes no\nplace /etc/ssh/sshd_config", "keys alone"),
        (PasswordLogin(), "server dropbear\ntakes no\nplace", "keys alone"),
        (TakenKey(None), "", "opened by a key of yours"),
        (TakenKey(KEY), "file /root/.ssh/authorized_keys\nhas key", "stands in /root/.ssh/authorized_keys"),
    ],
)
def test_what_is_so_already_is_left_alone_and_says_why(wish: Wish, text: str, reason: str) -> None:
    found = judged(wish, text)
    assert isinstance(found, Already) and reason in found.reason


@pytest.mark.parametrize(
    ("wish", "text", "title"),
    [
        (BY_NAME["hostname"], "kernel lichee-1\nfile other", "only until its next start"),
        (BY_NAME["time_zone"], "link ../usr/share/zoneinfo/UTC\nclock 1750000000 +0000", "it is UTC now, at UTC+0000,"),
        # The name alone is not enough: its rules may be missing, and the clock shown in UTC.
        (BY_NAME["time_zone"], "link /usr/share/zoneinfo/Europe/Vienna\nclock 1750000000 +0000", "rules from this"),
        (BY_NAME["user"], "", "neither useradd nor adduser"),
        (BY_NAME["prefix"], "wanted \n", "make the folder /opt/picoclaw, which belongs to picoclaw"),
        (BY_NAME["prefix"], "wanted 101\nis drwxr-xr-x 2 0 0 4096 x", "give the folder /opt/picoclaw to picoclaw"),
        (BY_NAME["prefix"], "wanted 0\nis drwxrwxrwx 2 0 0 4096 x", "give the folder"),
        (Swap(65536), f"swap 65532 {FILE}\nboot no\nfree 100000\nkind ext4", "make 65,536 KiB of swap"),
        (Swap(0), "fstab yes\nboot no", "what its next start would bring"),
        (Zram(65536), "swap 100 /dev/zram0\ncan yes", "/dev/zram0 (100 KiB)"),
        (PasswordLogin(), "server openssh\ntakes no\ntakes yes\nplace /etc/ssh/sshd_config", "once a key is proven"),
        (PasswordLogin(), "server openssh\nplace /etc/ssh/sshd_config", "once a key is proven"),
        (TakenKey(KEY), "file /root/.ssh/authorized_keys\nhas key\nhas loose", "would not trust it"),
    ],
)
def test_what_is_not_so_is_to_be_changed(wish: Wish, text: str, title: str) -> None:
    found = judged(wish, text)
    assert isinstance(found, Change) and title in found.title


@pytest.mark.parametrize(
    ("wish", "text", "reason"),
    [
        (BY_NAME["user"], "user 0 0 /bin/sh", "wrong_account"),
        (BY_NAME["prefix"], "wanted 1\nis link", "not_a_folder"),
        (Swap(65536), "free 69000\nkind ext4", "no_swap_here"),
        (Swap(65536), "free 690000\nkind overlay", "no_swap_here"),
        (Swap(65536), "free 690000\nkind ext4\nlacks mkswap", "no_such_tool"),
        (Zram(65536), "boot no", "no_zram"),
        (PasswordLogin(), "server \nplace", "password_login"),
        (PasswordLogin(), "server dropbear\ntakes yes\nplace", "password_login"),
        (PasswordLogin(), "server openssh\ntakes yes\nplace /etc/ssh/sshd_config\nfault yes", "sshd_faults"),
        (TakenKey(KEY), "file none", "password_login"),
        (TakenKey(KEY), "file /etc/keys/me\nhas lock", "needs_root"),
    ],
)
def test_what_the_board_cannot_have_is_refused_with_a_reason_that_has_a_cure(
    wish: Wish, text: str, reason: str
) -> None:
    from deploy.cli.cures import REFUSED

    found = judged(wish, text)
    assert isinstance(found, Impossible) and found.reason == reason and reason in REFUSED


@pytest.mark.parametrize("text", ["", "clock 12 0100", "clock x +0100", "clock 1 +01000"])
def test_a_clock_that_cannot_be_read_is_no_answer(text: str) -> None:
    with pytest.raises(BadAnswer):
        judged(BY_NAME["time_zone"], text)


def test_a_time_zone_is_known_here_with_its_rules_and_near_misses_are_named() -> None:
    zone = time_zone("Europe/Vienna")
    assert zone.rules.startswith(b"TZif") and zone.posix == "CET-1CEST,M3.5.0,M10.5.0/3"
    with pytest.raises(UnknownName) as caught:
        time_zone("Europe/Viena")
    assert "Europe/Vienna" in caught.value.near
    for text in ("../../etc/shadow", "", "posixrules", "Europe", "/etc/passwd"):
        with pytest.raises(UnknownName):
            time_zone(text)


@given(st.text(max_size=70))
def test_names_that_pass_are_single_words_for_a_shell(text: str) -> None:
    if hostname_fault(text) is None:
        assert text.replace("-", "a").isalnum() and text.isascii() and len(text) <= 63 and text[0] != "-"
    if user_fault(text) is None:
        assert text.replace("-", "a").replace("_", "a").isalnum() and text.isascii() and text[0] != "-"


@pytest.mark.parametrize("text", ["", "-a", "a-", "a.b", "1234", "a" * 64, "ä", "a b", "a\n"])
def test_what_is_no_hostname(text: str) -> None:
    assert hostname_fault(text)


@pytest.mark.parametrize("text", ["", "root", "Pico", "9a", "-a", "a" * 32, "a.b", "a\n"])
def test_what_is_no_user_of_a_gateway(text: str) -> None:
    assert user_fault(text)
