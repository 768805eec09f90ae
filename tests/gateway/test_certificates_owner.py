"""The owner's own certificate: looked at before it is served, each fault in words that name the file."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from gateway.certificates import files as certificate_files
from gateway.certificates import owner_files, server_context
from gateway.errors import ConfigError
from tests.gateway.tls_shop import DAY, NAME, authority, shake, written


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    key, certificate = authority("shop.example")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return written(tmp_path / "own.pem", certificate.public_bytes(Encoding.PEM)), written(tmp_path / "own.key", pem)


def test_the_owners_files_serve(own: tuple[Path, Path]) -> None:
    files = owner_files(*own, datetime.now(UTC))
    assert files[:3] == (*own, None)
    assert shake(server_context(files), _knowing(own[0]), NAME)[1] == "TLSv1.3"


def _knowing(ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    return context


def test_the_owners_files_are_looked_at(own: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = own
    now = datetime.now(UTC)
    other = ec.generate_private_key(ec.SECP256R1())
    form = (Encoding.PEM, PrivateFormat.PKCS8)
    wrong = written(tmp_path / "wrong.key", other.private_bytes(*form, NoEncryption()))
    locked = written(tmp_path / "locked.key", other.private_bytes(*form, BestAvailableEncryption(b"x")))
    big = written(tmp_path / "big.pem", b"x" * (certificate_files.MAX_BYTES + 1))
    for files, at, text in [
        ((tmp_path / "none.pem", key), now, r"none\.pem cannot be read: No such file"),
        ((certificate, tmp_path / "none.key"), now, r"none\.key cannot be read: No such file"),
        ((tmp_path, key), now, "cannot be read: Is a directory"),
        ((key, key), now, "holds no certificate"),
        ((certificate, certificate), now, "holds no private key"),
        ((certificate, wrong), now, "is not the key of"),
        ((certificate, locked), now, "pass phrase"),
        ((big, key), now, "larger than"),
        ((certificate, key), now + 31 * DAY, "expired on"),
        ((certificate, key), now - 61 * DAY, "set the clock"),
    ]:
        with pytest.raises(ConfigError, match=text):
            owner_files(*files, at)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(
    own: tuple[Path, Path], mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own[1].chmod(mode)
    with pytest.raises(ConfigError, match="run: chmod 600"):
        owner_files(*own, datetime.now(UTC))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(own[1].parent))
    owner_files(*own, datetime.now(UTC))


def test_what_cannot_be_served_is_told(own: tuple[Path, Path], tmp_path: Path) -> None:
    files = owner_files(*own, datetime.now(UTC))
    with pytest.raises(ConfigError, match="no certificate authority of the tills"):
        server_context(files, tmp_path / "none.pem")
    with pytest.raises(ConfigError, match="no certificate authority of the tills"):
        server_context(files, own[1])
    written(own[1], b"rubbish")
    with pytest.raises(ConfigError, match="cannot be served"):
        server_context(files)
