"""A gateway with certificates on a clock of its own, tills with theirs, and a real handshake over loopback."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.certificates import StoreCertificates

NAME = "gw-0421.local"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LAN = ip_address("10.20.0.5")


class Shop:
    """A gateway's folder, its clock and its addresses."""

    def __init__(self, folder: Path, now: datetime = NOW) -> None:
        self.folder, self.now, self.names, self.domain = folder / "tls", now, [NAME], None
        self.addresses = {ip_address("127.0.0.1"), LAN}

    def certificates(self) -> StoreCertificates:
        return StoreCertificates(
            self.folder, self.names, lambda: self.now, addresses=lambda: self.addresses, domain=self.domain
        )

    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificates().ensure().cert.read_bytes())

    def ca(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / "ca.pem").read_bytes())


def extension(certificate: x509.Certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[dict, str]:
    """Shake hands over loopback; return the client's certificate as the server sees it, and the TLS version."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        seen: list[dict | None] = []
        thread = threading.Thread(target=_serve, args=[listener, server, seen])
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                client.wrap_socket(plain, server_hostname=name) as secure,
            ):
                assert secure.recv(2) == b"ok"  # TLS 1.3 tells a refused client certificate only now
                return seen[0] or {}, secure.version() or ""
        finally:
            thread.join(10)


def _serve(listener: socket.socket, server: ssl.SSLContext, seen: list) -> None:
    plain, _ = listener.accept()
    plain.settimeout(10)
    try:
        with server.wrap_socket(plain, server_side=True) as secure:
            seen.append(secure.getpeercert())
            secure.sendall(b"ok")
    except OSError:
        pass  # the client says why
    finally:
        plain.close()


def trusting(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, signed(name, key, (key, None), ca=True)


def signed(name: str, key, issuer, *, ca: bool = False, uri: str | None = None, days: int = 30) -> x509.Certificate:
    signer, by = issuer
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * DAY)
        .not_valid_after(now + days * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if uri:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
        )
    return builder.sign(signer, hashes.SHA256())


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path
