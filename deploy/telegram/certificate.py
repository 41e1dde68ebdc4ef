"""Knows how to make a throw-away certificate authority and a server certificate of it, for a while only."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

NAMES = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM texts: the authority that a client has to trust, and the server's key (kept out of `repr`) with its chain."""

    ca_pem: bytes
    server_pem: bytes

    def __repr__(self) -> str:
        return "Certificate(…)"

    def context(self) -> ssl.SSLContext:
        """A server's TLS context with it: TLS 1.2 and 1.3, as api.telegram.org offers them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # The ssl module reads keys from files only; this one is 0600 (mkstemp) and gone before anybody connects.
        descriptor, name = tempfile.mkstemp()
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.server_pem)
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()
        return context


def make_certificate(*more: str) -> Certificate:
    """A new authority and a certificate for 127.0.0.1, localhost, ::1 and `more` names or addresses, both on P-256."""
    import trustme

    authority = trustme.CA(organization_name="slimdeploy", organization_unit_name="throw-away, for loopback only")
    server = authority.issue_cert(*NAMES, *more, common_name="slimdeploy Bot API stand-in")
    return Certificate(authority.cert_pem.bytes(), server.private_key_and_cert_chain_pem.bytes())
