"""Knows the forms in which a throw-away Ed25519 key is needed; who logs in with which is the daemon's business."""

from __future__ import annotations

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The private key as ssh(1) reads it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def public_line(key: Ed25519PrivateKey) -> str:
    """The public key as authorized_keys and known_hosts have it (sshd(8))."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def for_asyncssh(key: Ed25519PrivateKey) -> asyncssh.SSHKey:
    """The same key as asyncssh takes it."""
    return asyncssh.import_private_key(private_pem(key))
