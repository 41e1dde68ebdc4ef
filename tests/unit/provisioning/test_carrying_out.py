"""Changes are made in order and read back; password login ends between two logins by key, or is put back."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from deploy.errors import (
    AuthenticationRefused,
    CommandFailed,
    ConnectionLost,
    HostError,
    KeyNotTaken,
    PasswordRefused,
    Refused,
)
from deploy.model.public_key import PublicKey
from deploy.provisioning.asking import Found, ask, refuse
from deploy.provisioning.carrying_out import Done, Doors, carry_out
from deploy.provisioning.hostname import Hostname
from deploy.provisioning.password_login import PasswordLogin
from deploy.provisioning.public_key import TakenKey
from deploy.provisioning.swap import Swap, Zram
from deploy.provisioning.wish import Change, Wish
from deploy.transport.protocol import Completed, Script
from deploy.transport.scripted import ScriptedTransport

KEY = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIE" + "k" * 42, "me")
OLD, NEW = "kernel board\nfile board", "kernel lichee-1\nfile lichee-1"
OPEN = "server openssh\ntakes yes\nplace /etc/ssh/sshd_config"
SHUT = "server openssh\ntakes no\nplace /etc/ssh/sshd_config"
FILE = "file /root/.ssh/authorized_keys\n"
ASKED, NAMED, PUT_KEY = "ask what is so already", "name it lichee-1", "put the key on the board"
OFF, SETTLED, BACK = "turn password login off", "keep password login off", "put password login back as it was"


def says(user: str = "0\nroot", **sections: str) -> Callable[[Script], bytes]:
    """What a board answers to the question, in its own frame."""

    def answer(script: Script) -> bytes:
        found = re.search(r"^frame_nonce=([0-9a-f]+)$", script.text, re.MULTILINE)
        assert found
        parts = [
            f"\n#{found[1]} begin {name}\n{text}\n#{found[1]} end {name} 0\n"
            for name, text in {"login": user, **sections}.items()
        ]
        return f"{''.join(parts)}\n#{found[1]} close\n".encode()

    return answer


def no_doors() -> Doors:
    def nobody() -> ScriptedTransport:
        raise AssertionError("nobody should knock")

    return Doors(nobody, lambda: True)


def made(transport: ScriptedTransport, found: Found, doors: Doors) -> list[Done]:
    done: list[Done] = []
    began: list[Change] = []
    carry_out(transport, found, doors, done.append, began.append)
    assert len(began) == sum(each.changed for each in done)
    return done


def test_a_change_is_made_and_the_board_is_asked_again() -> None:
    board = ScriptedTransport({ASKED: [says(hostname=OLD), says(hostname=NEW)], NAMED: b""})
    found = ask(board, (Hostname("lichee-1"),))
    (done,) = made(board, found, no_doors())
    assert done.changed and done.detail == "it is called lichee-1"
    assert board.titles == [ASKED, NAMED, ASKED]


def test_a_change_that_does_not_show_is_a_failure_and_what_was_done_before_is_told() -> None:
    swaps = says(swap="boot no\nfree 99999\nkind ext4")
    answers = [says(hostname=OLD, swap="boot no\nfree 99999\nkind ext4"), says(hostname=NEW), swaps]
    board = ScriptedTransport({ASKED: answers, NAMED: b"", "make the swap file": b""})
    found = ask(board, (Hostname("lichee-1"), Swap(8192)))
    with pytest.raises(CommandFailed, match="still does not show it") as caught:
        made(board, found, no_doors())
    assert caught.value.__notes__ == ["done before: hostname"]


def test_what_fails_on_the_board_says_why() -> None:
    failed = Completed(1, b"", b"sh: /etc/hostname.part: Read-only file system\n", 0.1)
    board = ScriptedTransport({ASKED: says(hostname=OLD), NAMED: failed})
    with pytest.raises(CommandFailed, match=r"could not name it lichee-1.*Read-only file system"):
        made(board, ask(board, (Hostname("lichee-1"),)), no_doors())


def test_everything_that_the_board_cannot_have_is_told_before_anything_is_changed() -> None:
    board = ScriptedTransport({ASKED: says(swap="kind overlay\nfree 1", zram="boot no")})
    with pytest.raises(Refused, match="overlay") as caught:
        refuse(ask(board, (Swap(8192), Zram(8192))), "root@board")
    assert caught.value.reason == "no_swap_here" and "zram" in caught.value.__notes__[0]


def test_without_root_only_the_key_is_left() -> None:
    board = ScriptedTransport({ASKED: says("1000\npi", hostname=OLD, key=FILE)})
    found = ask(board, (TakenKey(KEY), Hostname("lichee-1")))
    assert [wish.name for wish, _ in found.changes] == ["key"]
    with pytest.raises(Refused, match="only root can name it lichee-1") as caught:
        refuse(found, "pi@board")
    assert caught.value.reason == "needs_root"


def by_password() -> ScriptedTransport:
    return ScriptedTransport({ASKED: [says(key=FILE), says(key=FILE + "has key")], PUT_KEY: b""})


def test_the_key_is_proven_by_a_second_connection_which_is_then_used() -> None:
    first, second = by_password(), ScriptedTransport({})
    done: list[Done] = []
    found = ask(first, (TakenKey(KEY),))
    ended = carry_out(first, found, Doors(lambda: second, lambda: True), done.append, lambda _: None)
    assert ended is second and "proven by a second connection" in done[0].detail
    with pytest.raises(ConnectionLost):
        first.run(Script("more", ":"))


def test_a_key_that_is_not_taken_is_its_own_error() -> None:
    def refused() -> ScriptedTransport:
        raise AuthenticationRefused("the server takes no key of ours for root", "root@board")

    board = by_password()
    with pytest.raises(KeyNotTaken, match="the key is on the board, and the server takes no key of ours"):
        made(board, ask(board, (TakenKey(KEY),)), Doors(refused, lambda: True))


def before(**more: bytes | Exception) -> ScriptedTransport:
    answers = {OFF: b"", BACK: b""} | {{"off": OFF, "back": BACK}[name]: each for name, each in more.items()}
    return ScriptedTransport({ASKED: says(password_login=OPEN), **answers})


def after(shown: str = SHUT) -> ScriptedTransport:
    return ScriptedTransport({ASKED: says(password_login=shown), SETTLED: b"", BACK: b""})


def turned_off(board: ScriptedTransport, *doors: ScriptedTransport | HostError, takes: bool = False) -> list[Done]:
    left = list(doors)

    def by_key() -> ScriptedTransport:
        each = left.pop(0)
        if isinstance(each, HostError):
            raise each
        return each

    return made(board, ask(board, (PasswordLogin(),)), Doors(by_key, lambda: takes))


def test_password_login_is_turned_off_between_two_logins_by_key_and_settled() -> None:
    board, last = before(), after()
    (done,) = turned_off(board, ScriptedTransport({}), last)
    assert "one by password is refused" in done.detail
    assert board.titles == [ASKED, OFF] and last.titles == [ASKED, SETTLED]


def test_nothing_is_turned_off_where_no_key_opens_the_board() -> None:
    board = before()
    with pytest.raises(KeyNotTaken):
        turned_off(board, AuthenticationRefused("no", "root@board"))
    assert board.titles == [ASKED]


REFUSED = AuthenticationRefused("the server takes no key of ours", "root@board")


@pytest.mark.parametrize(
    ("doors", "takes"),
    [
        ((ScriptedTransport({}), REFUSED), False),
        ((ScriptedTransport({}), after(OPEN)), False),
        ((ScriptedTransport({}), after()), True),  # its settings say no, and yet it takes one
    ],
    ids=["no key gets in", "its settings still say yes", "a password is still taken"],
)
def test_it_is_put_back_where_the_second_login_shows_anything_else(
    doors: tuple[ScriptedTransport | HostError, ...], takes: bool
) -> None:
    board = before()
    with pytest.raises(HostError) as caught:
        turned_off(board, *doors, takes=takes)
    assert board.titles == [ASKED, OFF, BACK] and "password login was put back as it was" in caught.value.__notes__


def test_it_is_put_back_by_another_connection_or_by_the_board_where_the_first_is_gone() -> None:
    def lost() -> ConnectionLost:
        return ConnectionLost("the connection broke", "root@board")

    another = after()
    with pytest.raises(ConnectionLost) as caught:
        turned_off(before(off=lost(), back=lost()), ScriptedTransport({}), another)
    assert another.titles == [BACK] and caught.value.__notes__ == ["password login was put back as it was"]
    with pytest.raises(ConnectionLost) as alone:
        turned_off(before(off=lost(), back=lost()), ScriptedTransport({}), REFUSED)
    assert alone.value.__notes__ == ["the board puts password login back by itself, two minutes after the change"]


def test_a_refused_password_says_whether_any_is_taken() -> None:
    assert PasswordRefused("x").takes_any and not PasswordRefused("x", takes_any=False).takes_any


def test_each_wish_has_a_name_that_a_section_can_have() -> None:
    wishes: tuple[Wish, ...] = (Hostname("a"), Swap(1), Zram(1), PasswordLogin(), TakenKey(KEY))
    assert all(re.fullmatch("[a-z_]+", wish.name) for wish in wishes)
