"""Certificates as files: written whole or not at all, and read with an error that a technician can act on.

Not here: making them (`mint.py`), deciding when (`store.py`), serving with them (`serving.py`).
"""

import os
import stat
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.certificates.mint import Pair
from gateway.errors import ConfigError

MAX_BYTES = 256 * 1024  # a chain of a dozen certificates is below 32 KiB; more is another file


class ServerFiles(NamedTuple):
    """What a server needs. `cert` and `key` may be one file; `ca` is what a client must trust, None = it knows it."""

    cert: Path
    key: Path
    ca: Path | None
    not_after: datetime


def owner_files(certificate_file: Path, key_file: Path, now: datetime) -> ServerFiles:
    """Check the owner's own certificate (its chain may follow it in the file) and key, both PEM.

    Raises ConfigError when a file is unreadable or not what it should be, when others can read the key, when the two do
    not belong together, and when the certificate is not valid now.
    """
    certificate = read_certificate(certificate_file)
    _refuse_open_key(key_file)
    if read_key(key_file).public_key() != certificate.public_key():
        raise ConfigError(f"{key_file} is not the key of {certificate_file}: the certificate belongs to another key")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= end:
        raise ConfigError(f"{certificate_file} expired on {end:%Y-%m-%d %H:%M} UTC: put a new certificate there")
    if now < begin:
        raise ConfigError(
            f"{certificate_file} is valid from {begin:%Y-%m-%d %H:%M} UTC, and here it is {now:%Y-%m-%d %H:%M} UTC: "
            "set the clock, or wait"
        )
    return ServerFiles(certificate_file, key_file, None, end)


def read_pair(path: Path) -> Pair:
    """Read certificate and key from one file. Raises ConfigError, also when they do not belong together."""
    pair = Pair(read_key(path), read_certificate(path))
    if pair.key.public_key() != pair.certificate.public_key():
        raise ConfigError(f"{path}: its key and its certificate do not belong together")
    return pair


def read_certificate(path: Path) -> x509.Certificate:
    """Read the first certificate of a PEM file. Raises ConfigError."""
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError as error:
        raise ConfigError(f"{path} holds no certificate: it must have a BEGIN CERTIFICATE line (PEM)") from error


def read_key(path: Path) -> PrivateKeyTypes:
    """Read the private key of a PEM file. Raises ConfigError; nothing of the content is in its text."""
    try:
        return load_pem_private_key(_read(path), password=None)
    except TypeError as error:
        text = "is locked with a pass phrase, which nobody can type when the gateway starts: store it without one"
        raise ConfigError(f"{path} {text} (openssl pkey)") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} holds no private key: it must have a BEGIN PRIVATE KEY line (PEM)") from error


def fingerprint(certificate_file: Path) -> str:
    """Return SHA-256 of the certificate as `openssl x509 -fingerprint` and phones show it: `AB:CD:...`."""
    return read_certificate(certificate_file).fingerprint(hashes.SHA256()).hex(":").upper()


def write_private(path: Path, content: bytes) -> None:
    """Write beside, sync, rename: after a kill or a power cut there is the old file or the new one. Mode 0600."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)  # of a run that was killed; O_EXCL then proves that nobody else can read ours
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)  # the rename itself is kept by the folder
    finally:
        os.close(handle)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes: it is no certificate or key")
    return content


def _refuse_open_key(path: Path) -> None:
    """Refuse a key that others can read. systemd's credentials are ours alone, though an access list shows as 0440."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and path.is_relative_to(credentials):
        return
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} has mode {mode:04o}, others can read the key; run: chmod 600 {path}")
