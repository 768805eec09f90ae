"""Kills, damage, and a disk that does not take it: a pair that can be served is always there, the authority is kept."""

import os
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from gateway.certificates import files as certificate_files
from gateway.certificates import server_context
from gateway.certificates.mint import Pair, make_authority
from gateway.errors import ConfigError
from tests.gateway.tls_shop import DAY, NOW, Shop, authority


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def live(tmp_path: Path) -> Shop:
    """One whose clock is right: real TLS libraries look at the system's."""
    return Shop(tmp_path, datetime.now(UTC))


@pytest.mark.parametrize("writes", [0, 1, 2])
@pytest.mark.parametrize("step", ["before the rename", "after the rename"])
def test_a_kill_between_two_writes_leaves_what_can_be_used(
    shop: Shop, writes: int, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    plain, done = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        done.append(target)
        if len(done) == writes + 1 and step == "before the rename":
            raise Killed
        plain(self, target)
        if len(done) == writes + 1:
            raise Killed
        return target

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            shop.certificates().ensure()
    authority = shop.folder / "authority.pem"
    before = certificate_files.read_pair(authority).certificate if authority.exists() else None
    files = shop.certificates().ensure()
    server_context(files)
    certificate_files.read_pair(files.cert).certificate.verify_directly_issued_by(shop.ca())
    assert before in (None, shop.ca())  # tills may trust it already
    assert {path.name for path in shop.folder.iterdir()} == {"authority.pem", "ca.pem", "server.pem"}


def test_a_kill_at_renewal_leaves_the_old_pair(live: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    files = live.certificates().ensure()
    old = files.cert.read_bytes()
    live.addresses = {ip_address("10.20.0.9")}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            live.certificates().ensure()
    assert files.cert.read_bytes() == old
    server_context(files)
    assert live.certificates().ensure().cert.read_bytes() != old


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_leaf_is_made_anew(shop: Shop, damage: bytes) -> None:
    shop.leaf()
    ca = shop.ca()
    (shop.folder / "server.pem").write_bytes(damage)
    shop.leaf().verify_directly_issued_by(ca)


def test_parts_of_two_pairs_are_damage(shop: Shop) -> None:
    shop.leaf()
    one = certificate_files.read_pair(shop.folder / "server.pem")
    other = certificate_files.read_pair(shop.folder / "authority.pem")
    (shop.folder / "server.pem").write_bytes(Pair(other.key, one.certificate).pem)
    assert shop.leaf() != one.certificate


def test_a_damaged_authority_is_told_and_the_leaf_serves_on(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    first = shop.leaf()
    (shop.folder / "authority.pem").write_bytes(b"rubbish")
    assert shop.leaf() == first
    assert "authority.pem holds no private key" in caplog.text
    (shop.folder / "server.pem").unlink()
    with pytest.raises(ConfigError, match="holds no private key"):
        shop.certificates().ensure()


def test_a_copy_of_the_authority_that_differs_is_put_right(shop: Shop) -> None:
    shop.leaf()
    right = (shop.folder / "ca.pem").read_bytes()
    for wrong in [b"", make_authority("other", None, NOW).pem]:
        (shop.folder / "ca.pem").write_bytes(wrong)
        shop.leaf()
        assert (shop.folder / "ca.pem").read_bytes() == right


def test_an_authority_without_bounds_is_not_used(shop: Shop) -> None:
    shop.folder.mkdir()
    key, certificate = authority("Somebody's own")
    (shop.folder / "authority.pem").write_bytes(Pair(key, certificate).pem)
    with pytest.raises(ConfigError, match="may sign for"):
        shop.certificates().ensure()


def test_a_full_disk_keeps_what_there_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    first = shop.leaf()
    shop.now += 300 * DAY
    monkeypatch.setattr(os, "fsync", full)
    assert shop.leaf() == first
    assert "No space left" in caplog.text
    (shop.folder / "server.pem").unlink()
    with pytest.raises(ConfigError, match="No space left"):
        shop.certificates().ensure()
