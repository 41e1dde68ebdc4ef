"""Knows which CA certificates a board needs that has none: Mozilla's, or the roots of the hosts that it talks to.

They are taken from certifi, which carries Mozilla's list; whether a board is sent any is `steps/authorities.py`'s.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\n?")

GO_DADDY = {
    "45140b3247eb9cc8c5b4f0d7b53091f73292089e6e5a63e2749dd3aca9198eda": "Go Daddy Root Certificate Authority - G2"
}

CLOUDFLARE = {
    "96bcec06264976f37460779acf28c5a7cfe8a3c0aae11a8ffcee05c0bddf08c6": "ISRG Root X1",
    "69729b8e15a86efc177a57afb7171dfc64add28c2fca8cf1507e34453ccb1470": "ISRG Root X2",
    "d947432abde7b7fa90fc2e6b59101b1280e0e1c7e4e40fa3c6887fff57a7f4cf": "GTS Root R1",
    "34d8a73ee208d9bcdb0d956520934b4e40e69482596e8b6f73c8426b010a6f48": "GTS Root R3",
    "349dfa4058c5e263123b398ae795573c4e1313c83fe68f93556cd5e8031b3c7d": "GTS Root R4",
    "85666a562ee0be5ce925c1d8890a6f76a87ec16d4d7d5f29ea7419cf20123b69": "SSL.com Root Certification Authority RSA",
    "3417bb06cc6007da1b961c920b8ab4ce3fad820e4aa30b9acbc4a74ebdcebc65": "SSL.com Root Certification Authority ECC",
    "8faf7d2e2cb4709bb8e0b33666bf75a5dd45b5de480f8ea8d4bfe6bebc17f2ed": "SSL.com TLS RSA Root CA 2022",
    "c32ffd9f46f936d16c3673990959434b9ad60aafbb9e7cf33654f144cc1ba143": "SSL.com TLS ECC Root CA 2022",
    "e793c9b02fd8aa13e21c31228accb08119643b749c898964b1746d46c3d4cbd2": "USERTrust RSA Certification Authority",
    "4ff460d54b9c86dabfbcfc5712e0400d2bed3fbc4d4fbdaa86e06adcd2a9ad7a": "USERTrust ECC Certification Authority",
    "7bb647a62aeeac88bf257aa522d01ffea395e0ab45c73f93f65654ec38f25a06": "Sectigo Public Server Authentication Root R46",
    "c90f26f0fb1b4018b22227519b5ca2b53e2ca5b3be5cf18efe1bef47380c5383": "Sectigo Public Server Authentication Root E46",
}

ROOTS = {"api.telegram.org": GO_DADDY, "api.openai.com": CLOUDFLARE}
"""By host: the SHA-256 of each root's DER, with its common name.

api.telegram.org: its chain, as the server sends it, is a leaf of Go Daddy Secure Certificate Authority - G2, whose root
this is (also told by certs.godaddy.com/repository). api.openai.com is served by Cloudflare, which changes between the
authorities of its list without notice: developers.cloudflare.com/ssl/reference/certificate-authorities (Let's Encrypt,
Google Trust Services, SSL.com, and Sectigo for backup certificates), all of which are therefore needed.
A host may move to another authority at any time: then `--ca full` is the cure. Names are held against certifi's
certificates in tests/unit/test_ca_roots.py.
"""


@dataclass(frozen=True, slots=True)
class Roots:
    """A CA bundle to be sent, and what is in it, for people."""

    pem: bytes
    says: str


def trimmed(hosts: Sequence[str]) -> Roots:
    """The roots that `hosts` need; all of them where a host is not known, or certifi has its roots no more."""
    for host in hosts:
        if host not in ROOTS:
            return _full(f"which roots {host} needs is not known here")
    bundle = _bundle()
    picked: dict[str, str] = {}
    for host in hosts:
        present = {sha256: name for sha256, name in ROOTS[host].items() if sha256 in bundle}
        if not present:
            return _full(f"the roots known for {host} are no longer among them")
        picked |= present
    if not picked:
        return _full("no host is named")
    names = ", ".join(picked.values())
    pem = "".join(bundle[sha256] for sha256 in picked)
    says = f"for {' and '.join(hosts)} it trusts {names}, of {_origin()}; --ca full sends all"
    return Roots(pem.encode("ascii"), says)


def full() -> Roots:
    """All of Mozilla's roots."""
    return _full("")


def _full(because: str) -> Roots:
    bundle = _bundle()
    says = f"it trusts all {len(bundle)} roots of {_origin()}" + (f", as {because}" if because else "")
    return Roots("".join(bundle.values()).encode("ascii"), says)


def _bundle() -> dict[str, str]:
    """Certifi's certificates as PEM, by the SHA-256 of their DER, in its order; comments between them are left out."""
    import certifi

    found = {}
    for match in _CERTIFICATE.finditer(Path(certifi.where()).read_text(encoding="utf-8")):
        sha256 = hashlib.sha256(base64.b64decode(match[1])).hexdigest()
        found[sha256] = match[0] if match[0].endswith("\n") else match[0] + "\n"
    return found


def _origin() -> str:
    return f"certifi {version('certifi')}"
