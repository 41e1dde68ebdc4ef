"""A public key is read from one line, and whatever else stands there is refused."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import make_key, needs

from deploy.model.public_key import parse_public_key


def body(kind: str, rest: bytes = b"\0\0\0\x20" + b"k" * 32) -> str:
    return base64.b64encode(len(kind).to_bytes(4, "big") + kind.encode() + rest).decode()


KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com")


@pytest.mark.install_check
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_what_ssh_keygen_writes_is_read_and_its_fingerprint_is_the_same(tmp_path: Path, kind: str) -> None:
    public = make_key(tmp_path / "key", kind).with_suffix(".pub")
    key = parse_public_key(public.read_text(), "there")
    asked = [needs("ssh-keygen", "openssh-client"), "-lf", str(public)]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert key.fingerprint == shown.stdout.split()[1]
    assert key.line == public.read_text().strip() and str(key) == f"{key.fingerprint} (there)"


@given(st.sampled_from(KINDS), st.binary(min_size=24, max_size=600), st.text(max_size=200))
def test_a_key_survives_and_its_comment_stays_on_one_line(kind: str, rest: bytes, comment: str) -> None:
    text = f"{kind} {body(kind, rest)} {' '.join(comment.split())}"
    key = parse_public_key(text)
    assert (key.kind, key.body) == (kind, body(kind, rest))
    assert len(key.line.splitlines()) == 1 and key.line.isprintable()
    assert parse_public_key(key.line).line == key.line


@given(
    st.one_of(st.text(), st.text().map(lambda text: f"ssh-ed25519 {text}"), st.from_regex(r"ssh-rsa [A-Za-z0-9+/=]+"))
)
def test_anything_else_is_refused_with_a_clause(text: str) -> None:
    try:
        key = parse_public_key(text)
    except ValueError as error:
        assert str(error)
    else:  # what passes holds the kind that it names
        assert base64.b64decode(key.body)[4:].startswith(key.kind.encode())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not one line"),
        (f"ssh-ed25519 {body('ssh-ed25519')}\nssh-ed25519 {body('ssh-ed25519')}", "not one line"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "no public key"),
        (f'command="reboot" ssh-ed25519 {body("ssh-ed25519")}', "no public key"),
        (f"ssh-rsa {body('ssh-ed25519')}", "is no ssh-rsa"),
        (f"ssh-ed25519 {body('ssh-ed25519')[:-3]}", "cut short"),
    ],
)
def test_the_fault_is_named(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_public_key(text)
