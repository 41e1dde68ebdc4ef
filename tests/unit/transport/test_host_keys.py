"""Which lines of a known_hosts file speak of a host, what is believed, and what is forgotten; no server is asked."""

from __future__ import annotations

import base64
import hmac
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from paramiko import PKey, Transport
from servers import make_key, needs

from deploy.errors import HostKeyChanged, HostKeyUnknown
from deploy.model.host import Host, parse_host
from deploy.transport import host_keys
from deploy.transport.host_keys import Trust


@dataclass
class Offered:
    """A host key as a server offers it."""

    kind: str
    blob: bytes

    def get_name(self) -> str:
        return self.kind

    def asbytes(self) -> bytes:
        return self.blob

    def get_base64(self) -> str:
        return base64.b64encode(self.blob).decode()

    def line(self, names: str) -> str:
        return f"{names} {self.kind} {self.get_base64()} a comment\n"


KEY = Offered("ssh-ed25519", b"\0\0\0\x0bssh-ed25519" + b"k" * 32)
OTHER = Offered("ssh-ed25519", b"\0\0\0\x0bssh-ed25519" + b"o" * 32)
RSA = Offered("ssh-rsa", b"\0\0\0\x07ssh-rsa" + b"r" * 300)
HARDWARE = Offered("sk-ssh-ed25519@openssh.com", b"h" * 60)


@pytest.fixture
def own() -> Path:
    host_keys.own_file().parent.mkdir(parents=True)
    return host_keys.own_file()


@pytest.fixture
def theirs(private_home: Path) -> Path:
    (private_home / ".ssh").mkdir()
    return private_home / ".ssh" / "known_hosts"


def trust(*, accept_new: bool = False) -> Trust:
    return Trust.of(Host("board"), accept_new=accept_new)


def judge(key: Offered, address: str = "board", port: int = 22, *, accept_new: bool = False) -> None:
    trust(accept_new=accept_new).judge(address, port, key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "address", "port"),
    [
        ("board", "board", 22),
        ("BOARD", "board", 22),
        ("board", "BOARD", 22),
        ("other,board,192.0.2.7", "board", 22),
        ("[board]:2222", "board", 2222),
        ("[192.0.2.*]:*", "192.0.2.7", 2200),
        ("*.example,!bad.example", "good.example", 22),
        ("boar?", "board", 22),
        ("fe80::1%eth0", "fe80::1%eth0", 22),
    ],
)
def test_a_line_that_names_the_host_makes_its_key_known(own: Path, names: str, address: str, port: int) -> None:
    own.write_text(KEY.line(names))
    judge(KEY, address, port)
    with pytest.raises(HostKeyChanged):
        judge(OTHER, address, port)


@pytest.mark.parametrize(
    ("names", "address", "port"),
    [
        ("board", "board", 2222),
        ("[board]:2222", "board", 22),
        ("board.example", "board", 22),
        ("*,!board", "board", 22),
        ("b.ard", "board", 22),
        ("[a-z]oard", "board", 22),
    ],
)
def test_a_line_that_means_another_host_says_nothing(own: Path, names: str, address: str, port: int) -> None:
    own.write_text(KEY.line(names))
    with pytest.raises(HostKeyUnknown):
        judge(KEY, address, port)


def test_lines_that_cannot_be_read_are_passed_over(own: Path) -> None:
    own.write_bytes(
        b"# a comment\n\n\xff\xfe\nboard\nboard ssh-ed25519\nboard ssh-ed25519 ???\n|1|x|y ssh-ed25519 AAAA\n"
        b"@cert-authority board ssh-ed25519 AAAA\n@odd\n@revoked\n|1|AAAA|AAAA ssh-ed25519 AAAA\n| ssh-ed25519 AAAA\n"
        + KEY.line("board").encode()
    )
    judge(KEY)


def test_one_of_several_keys_is_enough_wherever_it_stands(own: Path, theirs: Path) -> None:
    own.write_text(OTHER.line("board"))
    theirs.write_text(RSA.line("board") + KEY.line("board"))
    for key in (OTHER, KEY, RSA):
        judge(key)


def test_a_changed_key_names_the_file_and_both_fingerprints_even_where_new_ones_are_taken(theirs: Path) -> None:
    theirs.write_text(KEY.line("[board]:2222"))
    with pytest.raises(HostKeyChanged) as changed:
        judge(OTHER, "board", 2222, accept_new=True)
    assert changed.value.known_hosts == str(theirs)
    assert changed.value.host == "board:2222"
    assert changed.value.offered.startswith("SHA256:") and changed.value.remembered.startswith("SHA256:")
    assert changed.value.offered != changed.value.remembered
    assert not host_keys.own_file().exists()


def test_a_key_of_a_type_that_nobody_remembers_is_a_changed_key_where_another_type_is_known(own: Path) -> None:
    own.write_text(RSA.line("board"))
    with pytest.raises(HostKeyChanged):
        judge(KEY, accept_new=True)


def test_a_hardware_key_that_we_cannot_ask_for_says_nothing(own: Path) -> None:
    own.write_text(HARDWARE.line("board"))
    with pytest.raises(HostKeyUnknown):
        judge(KEY)


def test_a_revoked_key_is_refused_although_it_is_known_too(own: Path, theirs: Path) -> None:
    own.write_text(KEY.line("board"))
    theirs.write_text("@revoked " + KEY.line("*"))
    with pytest.raises(HostKeyChanged, match="revoked") as changed:
        judge(KEY, accept_new=True)
    assert changed.value.known_hosts == str(theirs)
    theirs.write_text("@revoked " + OTHER.line("*"))
    judge(KEY)


def test_an_accepted_key_is_kept_for_its_owner_alone_and_after_a_last_line_without_an_end(own: Path) -> None:
    own.write_text(OTHER.line("elsewhere").rstrip("\n"))
    own.chmod(0o644)
    judge(KEY, "board", 2222, accept_new=True)
    assert own.stat().st_mode & 0o777 == 0o600
    assert own.read_text().splitlines()[1].split()[:2] == ["[board]:2222", "ssh-ed25519"]
    judge(KEY, "board", 2222)
    judge(OTHER, "elsewhere")


def test_a_host_that_brings_its_own_file_is_held_against_that_alone(own: Path, theirs: Path, tmp_path: Path) -> None:
    own.write_text(KEY.line("board"))
    theirs.write_text(KEY.line("board"))
    brought = tmp_path / "brought"
    brought.write_text(OTHER.line("board"))
    alone = Trust.of(Host("board", known_hosts=str(brought)), accept_new=True)
    alone.judge("board", 22, OTHER)  # type: ignore[arg-type]
    with pytest.raises(HostKeyChanged):
        alone.judge("board", 22, KEY)  # type: ignore[arg-type]
    brought.write_text("")
    with pytest.raises(HostKeyUnknown):
        alone.judge("board", 22, KEY)  # type: ignore[arg-type]
    assert brought.read_text() == ""


def test_the_known_types_are_asked_for_first_and_the_others_after_them(own: Path) -> None:
    class Security:
        key_types = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")

    security = Security()

    class Asking:
        def get_security_options(self) -> Security:
            return security

    own.write_text(RSA.line("board"))
    trust().preferred(Asking(), "board", 22)  # type: ignore[arg-type]
    assert security.key_types == ("rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256")


def test_the_types_that_we_know_are_those_that_paramiko_asks_for() -> None:
    asked = {kind for known in host_keys.KINDS for kind in host_keys._algorithms(known)}
    assert asked == set(Transport._preferred_keys)


@pytest.mark.install_check
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_hashes_and_fingerprints_are_those_of_ssh_keygen(own: Path, tmp_path: Path, kind: str) -> None:
    keygen = needs("ssh-keygen", "openssh-client")
    file = make_key(tmp_path / "key", kind)
    key = PKey.from_path(file)
    words = file.with_suffix(".pub").read_text().split()
    own.write_text(f"[board]:2222,192.0.2.7 {words[0]} {words[1]}\n")
    subprocess.run([keygen, "-q", "-H", "-f", str(own)], capture_output=True, check=True)
    assert own.read_text().startswith("|1|")
    trust().judge("board", 2222, key)
    trust().judge("192.0.2.7", 22, key)
    with pytest.raises(HostKeyUnknown) as unknown:
        trust().judge("board", 22, key)
    printed = subprocess.run([keygen, "-lf", str(file)], capture_output=True, text=True, check=True).stdout
    assert unknown.value.fingerprint == printed.split()[1]


def test_forgetting_takes_the_lines_of_that_host_and_port_and_leaves_the_rest(own: Path, theirs: Path) -> None:
    text = KEY.line("[board]:2222") + RSA.line("board,192.0.2.7") + KEY.line("[board]:2200") + "# stays\n"
    own.write_text(text + KEY.line("boarder"))
    theirs.write_text(text)
    assert host_keys.forget(Host("board", "root", 2222)) == 1
    assert host_keys.forget(Host("board", "root", 2222)) == 0
    assert host_keys.forget(Host("BOARD")) == 2
    assert own.read_text() == "# stays\n" + KEY.line("boarder")
    assert own.stat().st_mode & 0o777 == 0o600
    assert theirs.read_text() == text


def test_a_host_is_forgotten_by_its_hashed_name_too(own: Path) -> None:
    digest = "|1|c2FsdHNhbHRzYWx0c2FsdHNhbHQ=|"
    hashed = base64.b64encode(hmac.digest(b"saltsaltsaltsaltsalt", b"board", "sha1")).decode()
    own.write_text(KEY.line(digest + hashed))
    judge(KEY)
    assert host_keys.forget(Host("board")) == 1


def test_forgetting_without_a_file_of_our_own_forgets_nothing() -> None:
    assert host_keys.forget(Host("board")) == 0


def test_what_the_cure_of_a_changed_key_names_is_what_forget_takes(own: Path) -> None:
    for address, port in (("board.local", 2222), ("192.0.2.7", 22), ("2001:db8::1", 2222)):
        own.write_text(KEY.line(host_keys.known_name(address, port)))
        with pytest.raises(HostKeyChanged) as changed:
            judge(OTHER, address, port)
        assert host_keys.forget(parse_host(changed.value.host)) == 1


def test_a_pinned_key_is_the_only_one_that_is_trusted_whatever_files_say(own: Path, theirs: Path) -> None:
    theirs.write_text(OTHER.line("board"))
    whole = f"{KEY.kind} {KEY.get_base64()}"
    fingerprint = host_keys.KnownKey(KEY.kind, KEY.blob, own).fingerprint
    for pin in (whole, fingerprint):
        pinned = Trust.of(Host("board", host_keys=(pin,)), accept_new=True)
        pinned.judge("board", 22, KEY)
        with pytest.raises(HostKeyChanged) as changed:
            pinned.judge("board", 22, OTHER)
        assert fingerprint in str(vars(changed.value)) and changed.value.known_hosts == "the inventory"
        assert not own.exists(), "nothing is learned beside a pinned key"


def test_a_pinned_key_that_was_revoked_is_refused(own: Path) -> None:
    own.write_text("@revoked * " + KEY.line("").strip() + "\n")
    with pytest.raises(HostKeyChanged):
        Trust.of(Host("board", host_keys=(f"{KEY.kind} {KEY.get_base64()}",)), accept_new=False).judge("board", 22, KEY)
