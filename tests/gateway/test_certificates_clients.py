"""What real TLS clients and the openssl command say to the shop's certificate, and the gateway to a till's."""

import shutil
import ssl
import subprocess
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.certificates import files as certificate_files
from gateway.certificates import server_context, terminal_of
from gateway.certificates.mint import Pair, make_leaf
from tests.gateway.tls_shop import LAN, NAME, Shop, authority, shake, signed, trusting, written


@pytest.fixture
def live(tmp_path: Path) -> Shop:
    """One whose clock is right: real TLS libraries look at the system's."""
    return Shop(tmp_path, datetime.now(UTC))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_openssl_accepts_the_chain(live: Shop) -> None:
    files = live.certificates().ensure()
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(files.ca)]
    for subject in [["-verify_hostname", NAME], ["-verify_ip", str(LAN)], ["-verify_ip", "127.0.0.1"]]:
        ended = subprocess.run([*verify, *subject, str(files.cert)], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
    ended = subprocess.run(
        [*verify, "-verify_hostname", "bank.example", str(files.cert)], capture_output=True, check=False
    )
    assert ended.returncode != 0
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(files.ca)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip().partition("=")[2] == live.certificates().fingerprint()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_openssl_refuses_what_a_thief_of_the_key_would_sign(live: Shop, tmp_path: Path) -> None:
    files = live.certificates().ensure()
    stolen = certificate_files.read_pair(live.folder / "authority.pem")
    forged = tmp_path / "forged.pem"
    forged.write_bytes(make_leaf(stolen, ["bank.example"], [], live.now).pem)
    verify = ["openssl", "verify", "-CAfile", str(files.ca), str(forged)]
    ended = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "permitted subtree violation" in ended.stderr


@pytest.mark.parametrize("name", [NAME, "localhost", "127.0.0.1", str(LAN)])
def test_a_strict_client_is_served(live: Shop, name: str) -> None:
    files = live.certificates().ensure()
    assert shake(server_context(files), trusting(files.ca), name) == ({}, "TLSv1.3")


def test_a_client_that_does_not_trust_the_shop_leaves(live: Shop) -> None:
    files = live.certificates().ensure()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server_context(files), ssl.create_default_context(), NAME)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.local"):
        shake(server_context(files), trusting(files.ca), "other.local")


def test_tls_1_2_at_least(live: Shop) -> None:
    files = live.certificates().ensure()
    assert server_context(files).minimum_version == ssl.TLSVersion.TLSv1_2
    client = trusting(files.ca)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shake(server_context(files), client, NAME)[1] == "TLSv1.2"


def test_a_renewal_reaches_a_context_that_listens(live: Shop) -> None:
    context = server_context(live.certificates().ensure())
    live.addresses = {ip_address("192.168.7.7")}
    files = live.certificates().ensure()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(context, trusting(files.ca), "192.168.7.7")
    context.load_cert_chain(files.cert, files.key)
    shake(context, trusting(files.ca), "192.168.7.7")


def test_a_till_is_known_by_its_certificate(live: Shop, tmp_path: Path) -> None:
    tills = authority("Tills of the chain")
    ca = written(tmp_path / "tills.pem", tills[1].public_bytes(Encoding.PEM))
    files = live.certificates().ensure()
    server, key = server_context(files, ca), ec.generate_private_key(ec.SECP256R1())
    for certificate, terminal in [
        (signed("till-3", key, tills), "till-3"),
        (signed("Till Three", key, tills, uri="aisled:terminal:till-3"), "till-3"),
        (signed("Till Three", key, tills), None),
    ]:
        client = trusting(files.ca)
        client.load_cert_chain(written(tmp_path / "till.pem", Pair(key, certificate).pem))
        peer, _ = shake(server, client, NAME)
        assert peer
        assert terminal_of(peer) == terminal
    assert terminal_of(shake(server, trusting(files.ca), NAME)[0]) is None  # without one: a token must say who


def test_a_strange_or_expired_client_certificate_is_refused(live: Shop, tmp_path: Path) -> None:
    tills, strangers = authority("Tills of the chain"), authority("Tills of the chain")
    ca = written(tmp_path / "tills.pem", tills[1].public_bytes(Encoding.PEM))
    files = live.certificates().ensure()
    key = ec.generate_private_key(ec.SECP256R1())
    for certificate in [signed("till-3", key, strangers), signed("till-3", key, tills, days=-1)]:
        client = trusting(files.ca)
        client.load_cert_chain(written(tmp_path / "till.pem", Pair(key, certificate).pem))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shake(server_context(files, ca), client, NAME)


def test_the_shops_own_certificate_is_no_tills(live: Shop) -> None:
    files = live.certificates().ensure()
    client = trusting(files.ca)
    client.load_cert_chain(files.cert)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(server_context(files, files.ca), client, NAME)


def subject(*names: str) -> tuple:
    return tuple((("commonName", name),) for name in names)


@pytest.mark.parametrize(
    ("peer", "terminal"),
    [
        (None, None),
        ({}, None),
        ({"subject": subject("till-3")}, "till-3"),
        ({"subject": subject("till-3\n")}, None),
        ({"subject": subject("Till-3")}, None),
        ({"subject": subject("x" * 41)}, None),
        ({"subject": subject("")}, None),
        ({"subject": subject("till-3", "till-4")}, None),
        ({"subject": ((("organizationName", "till-3"),),)}, None),
        ({"subject": subject("x"), "subjectAltName": (("URI", "aisled:terminal:till-4"),)}, "till-4"),
        ({"subject": subject("x"), "subjectAltName": (("DNS", "aisled:terminal:till-4"),)}, "x"),
        ({"subject": subject("x"), "subjectAltName": (("URI", "urn:uuid:1"), ("DNS", "till-9.local"))}, "x"),
        ({"subject": subject("x"), "subjectAltName": (("URI", "aisled:terminal:"),)}, None),
        ({"subject": subject("x"), "subjectAltName": (("URI", "aisled:terminal:../x"),)}, None),
        ({"subjectAltName": (("URI", "aisled:terminal:a"), ("URI", "aisled:terminal:b"))}, None),
    ],
)
def test_terminal_of(peer, terminal: str | None) -> None:
    assert terminal_of(peer) == terminal
