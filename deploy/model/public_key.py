"""Knows how a public key is written on one line, as OpenSSH's .pub files and authorized_keys have it (sshd(8))."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from deploy.model.display import clean

_KIND = re.compile(r"(?:ssh-[a-z0-9-]{1,40}|ecdsa-sha2-nistp[0-9]{3}|sk-[a-z0-9-]{1,40}@openssh\.com)")
_BODY = re.compile(r"[A-Za-z0-9+/]{40,8192}={0,2}")
_MOST_COMMENT = 100


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One public key; `origin` says for people where it was found."""

    kind: str
    body: str
    """The key itself, in base64."""
    comment: str = ""
    origin: str = ""

    @property
    def line(self) -> str:
        """As authorized_keys has it, without a newline."""
        return " ".join(part for part in (self.kind, self.body, self.comment) if part)

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.body)).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")

    def __str__(self) -> str:
        """For people: its fingerprint, and where it comes from."""
        return f"{self.fingerprint} ({self.origin or self.comment or self.kind})"


def parse_public_key(text: str, origin: str = "") -> PublicKey:
    """The key in `text`, which has to be one line. Raises ValueError with a clause that says what is wrong.

    The kind stands in the base64 too, as a string (RFC 4253, section 6.6): both have to be the same.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise ValueError("it has not one line, as a public key has")
    kind, _, rest = lines[0].strip().partition(" ")
    body, _, comment = rest.strip().partition(" ")
    if not _KIND.fullmatch(kind) or not _BODY.fullmatch(body):
        raise ValueError("it is no public key of OpenSSH's form (ssh-ed25519 AAAA… comment)")
    try:
        blob = base64.b64decode(body, validate=True)
    except binascii.Error:
        raise ValueError("its base64 is cut short") from None
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != kind.encode("ascii") or len(blob) <= 4 + length:
        raise ValueError(f"what its base64 holds is no {kind}")
    comment = clean(comment.strip(), 10 * _MOST_COMMENT).replace("\t", " ")[:_MOST_COMMENT].strip()
    return PublicKey(kind, body, comment, origin)
