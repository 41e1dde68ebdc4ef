"""The roots that a board is sent, held against certifi's own, and what is sent where they are not there."""

from __future__ import annotations

import hashlib
import re
import ssl
import warnings
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from deploy import ca_roots


def certificates(pem: bytes) -> dict[str, x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a serial number of Mozilla's list that is not positive
        found = x509.load_pem_x509_certificates(pem)
    return {each.fingerprint(SHA256()).hex(): each for each in found}


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def known() -> dict[str, str]:
    return {sha256: name for roots in ca_roots.ROOTS.values() for sha256, name in roots.items()}


def test_every_root_of_the_table_is_certifis_under_that_name() -> None:
    """Not one may be missing: where Mozilla drops a root, the table is to be looked at."""
    there = certificates(Path(certifi.where()).read_bytes())
    assert {sha256: common_name(there[sha256]) for sha256 in known()} == known()
    for sha256 in known():
        assert there[sha256].issuer == there[sha256].subject


def test_for_telegram_one_root_is_sent_and_the_detail_names_it_and_the_way_out() -> None:
    roots = ca_roots.trimmed(["api.telegram.org"])
    (only,) = certificates(roots.pem).values()
    assert common_name(only) == "Go Daddy Root Certificate Authority - G2"
    assert "Go Daddy Root Certificate Authority - G2, of certifi 20" in roots.says
    assert "--ca full" in roots.says
    assert len(roots.pem) < 2048


def test_two_hosts_need_the_roots_of_both() -> None:
    sent = certificates(ca_roots.trimmed(["api.telegram.org", "api.openai.com"]).pem)
    assert {sha256: common_name(each) for sha256, each in sent.items()} == known()


def test_the_whole_list_is_all_that_certifi_has_and_openssl_reads_it() -> None:
    roots = ca_roots.full()
    assert certificates(roots.pem) == certificates(Path(certifi.where()).read_bytes())
    count = Path(certifi.where()).read_text().count("BEGIN CERTIFICATE")
    assert f"all {count} roots" in roots.says
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=roots.pem.decode())
    assert context.cert_store_stats()["x509_ca"] == count


def test_an_unknown_host_gets_them_all_and_the_reason() -> None:
    roots = ca_roots.trimmed(["api.telegram.org", "llm.example"])
    assert roots.pem == ca_roots.full().pem
    assert roots.says.endswith("as which roots llm.example needs is not known here")
    assert ca_roots.trimmed([]).pem == roots.pem


def test_where_a_root_is_gone_from_certifi_all_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(certifi.where()).read_text()
    (mozilla,) = ca_roots.GO_DADDY

    def kept(match: re.Match[str]) -> str:
        der = ssl.PEM_cert_to_DER_cert(match[0])
        return "" if hashlib.sha256(der).hexdigest() == mozilla else match[0]

    without = tmp_path / "cacert.pem"
    without.write_text(re.sub(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", kept, text, flags=re.DOTALL))
    monkeypatch.setattr(certifi, "where", lambda: str(without))
    roots = ca_roots.trimmed(["api.telegram.org"])
    assert roots.pem == ca_roots.full().pem and roots.pem.count(b"BEGIN") == text.count("BEGIN") - 1
    assert "the roots known for api.telegram.org are no longer among them" in roots.says
