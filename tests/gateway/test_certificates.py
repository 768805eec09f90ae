"""The shop's own authority and certificate: what is in them, and when they are renewed."""

import os
import shutil
import stat
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.certificates import StoreCertificates
from gateway.certificates.mint import AUTHORITY_LIFE, LEAF_LIFE, make_authority, permits
from gateway.errors import ConfigError
from tests.gateway.tls_shop import DAY, LAN, NAME, NOW, Shop, extension


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_the_authority_is_bound(shop: Shop) -> None:
    shop.domain = "shop.example"
    shop.leaf()
    ca = shop.ca()
    assert isinstance(ca.public_key(), ec.EllipticCurvePublicKey)
    assert ca.public_key().curve.name == "secp256r1"
    assert extension(ca, x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=0)
    assert extension(ca, x509.BasicConstraints).critical
    bounds = extension(ca, x509.NameConstraints)
    assert bounds.critical
    assert {str(one.value) for one in bounds.value.permitted_subtrees} == {
        *("local", "localhost", "shop.example"),
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    }
    assert ca.not_valid_before_utc == NOW - DAY
    assert ca.not_valid_after_utc - ca.not_valid_before_utc == AUTHORITY_LIFE


def test_the_leaf_is_for_all_names_and_addresses(shop: Shop) -> None:
    leaf = shop.leaf()
    names = extension(leaf, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME, "localhost"]
    assert set(names.get_values_for_type(x509.IPAddress)) == shop.addresses
    assert list(extension(leaf, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extension(leaf, x509.BasicConstraints).value.ca
    assert leaf.not_valid_before_utc == NOW - DAY
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == LEAF_LIFE
    assert LEAF_LIFE == 397 * DAY


def test_files_are_ours_alone(shop: Shop) -> None:
    before = os.umask(0)  # the mode is the file's own, not what the process happens to mask
    try:
        shop.certificates().ensure()
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in shop.folder.iterdir()}
    assert modes == {"authority.pem": 0o600, "ca.pem": 0o600, "server.pem": 0o600}
    assert stat.S_IMODE(shop.folder.stat().st_mode) == 0o700
    assert b"PRIVATE" not in (shop.folder / "ca.pem").read_bytes()


def test_the_fingerprint_is_the_authoritys(shop: Shop) -> None:
    certificates_ = shop.certificates()
    with pytest.raises(ConfigError, match=r"ca\.pem cannot be read"):
        certificates_.fingerprint()
    certificates_.ensure()
    assert certificates_.fingerprint().replace(":", "") == shop.ca().fingerprint(hashes.SHA256()).hex().upper()
    assert len(certificates_.fingerprint()) == 32 * 3 - 1


@pytest.mark.parametrize("name", ["", "a b.local", "gw_1.local", "-gw.local", "x" * 64 + ".local", "*.local", "a..b"])
def test_a_bad_name_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is not a host name"):
        StoreCertificates(tmp_path, [name], lambda: NOW)


def test_a_name_outside_the_bounds_is_told(shop: Shop) -> None:
    shop.names = ["bank.example"]
    with pytest.raises(ConfigError, match=r'"bank.example" is not a name that .* may sign for'):
        shop.certificates().ensure()
    shop.names, shop.domain = [NAME, "GW.Shop.example."], "shop.example"
    with pytest.raises(ConfigError, match=r'"gw\.shop\.example" is not a name'):
        shop.certificates().ensure()  # the authority was made without the domain, and is kept
    shutil.rmtree(shop.folder)
    assert "gw.shop.example" in extension(shop.leaf(), x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


def test_a_public_address_is_left_out(shop: Shop) -> None:
    shop.addresses |= {ip_address("192.0.2.2"), ip_address("2001:db8::1"), ip_address("fd00::2")}
    found = extension(shop.leaf(), x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)
    assert set(found) == {ip_address("127.0.0.1"), LAN, ip_address("fd00::2")}


@pytest.mark.parametrize(
    ("wanted", "may"),
    [
        ("gw.local", True),
        ("local", True),
        ("notlocal", False),
        ("local.example", False),
        (ip_address("172.31.255.255"), True),
        (ip_address("172.32.0.0"), False),
        (ip_address("fdff::1"), True),
        (ip_address("2001:db8::1"), False),
    ],
)
def test_permits(wanted, may) -> None:
    assert permits(make_authority("x", None, NOW).certificate, wanted) is may


def test_nothing_changes_while_all_is_well(shop: Shop) -> None:
    first = shop.leaf()
    shop.now += 262 * DAY  # with the day of backdating 263 of 397: just below two thirds
    assert shop.leaf() == first


def test_renewed_at_two_thirds_and_the_authority_kept(shop: Shop) -> None:
    first, ca = shop.leaf(), (shop.folder / "ca.pem").read_bytes()
    shop.now += 264 * DAY
    second = shop.leaf()
    assert second.not_valid_before_utc == shop.now - DAY
    assert second.public_key() != first.public_key()
    assert (shop.folder / "ca.pem").read_bytes() == ca
    second.verify_directly_issued_by(shop.ca())


def test_renewed_on_a_new_address_but_not_for_one_that_went(shop: Shop) -> None:
    first = shop.leaf()
    shop.addresses = {ip_address("127.0.0.1")}  # the cable was pulled
    assert shop.leaf() == first
    shop.addresses = {ip_address("127.0.0.1"), ip_address("10.20.0.6")}
    second = shop.leaf()
    assert (
        set(extension(second, x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)) == shop.addresses
    )


def test_renewed_on_a_new_name(shop: Shop) -> None:
    shop.leaf()
    shop.names = ["gw-0422.local"]
    names = extension(shop.leaf(), x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert names == ["gw-0422.local", "localhost"]


def test_a_certificate_from_the_future_is_replaced(shop: Shop) -> None:
    shop.leaf()
    shop.now += 700 * DAY  # the clock jumped ahead, and the certificate was renewed by it
    ahead = shop.leaf()
    shop.now = NOW
    assert ahead.not_valid_before_utc > shop.now
    assert shop.leaf().not_valid_before_utc == NOW - DAY


def test_a_leaf_never_outlives_its_authority(shop: Shop) -> None:
    shop.leaf()
    shop.now = shop.ca().not_valid_after_utc - 30 * DAY
    assert shop.leaf().not_valid_after_utc == shop.ca().not_valid_after_utc


@pytest.mark.parametrize("years", [-5, 11])
def test_a_wrong_clock_never_replaces_the_authority(shop: Shop, years: int, caplog: pytest.LogCaptureFixture) -> None:
    first, ca = shop.leaf(), shop.ca()
    shop.now += years * 365 * DAY
    assert shop.leaf() == first
    assert "set the clock" in caplog.text
    (shop.folder / "server.pem").unlink()
    with pytest.raises(ConfigError, match="set the clock"):
        shop.certificates().ensure()
    assert shop.ca() == ca


def test_the_authoritys_key_may_be_taken_away(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    first = shop.leaf()
    kept = (shop.folder / "authority.pem").read_bytes()
    (shop.folder / "authority.pem").unlink()
    assert shop.leaf() == first
    assert caplog.text == ""  # a wise thing to do is no trouble
    shop.now += 300 * DAY
    assert shop.leaf() == first
    assert "key was taken away" in caplog.text
    (shop.folder / "authority.pem").write_bytes(kept)
    assert shop.leaf().not_valid_before_utc == shop.now - DAY


def test_beginning_anew_makes_a_pair_that_fits(shop: Shop) -> None:
    first = shop.leaf()
    (shop.folder / "authority.pem").unlink()
    (shop.folder / "ca.pem").unlink()
    second = shop.leaf()
    assert second != first
    second.verify_directly_issued_by(shop.ca())
