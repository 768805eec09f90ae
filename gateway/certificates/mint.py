"""Makes keys and certificates: a store's authority that can do little harm, and the server certificates below it.

The authority gets onto tills and phones, so it is bound: it can sign only for names of the shop's network, private
addresses, and one domain of the owner's (RFC 5280, 4.2.1.10). Its key, when stolen, opens no bank. Touches no file.
Next: `store.py`, which decides when to call this.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.certificates.addresses import IPAddress

AUTHORITY_LIFE = timedelta(days=3652)  # ten years
LEAF_LIFE = timedelta(days=397)  # Apple refuses more than 398 days of public authorities, and 825 of private ones
BACKDATE = timedelta(days=1)  # a till whose clock is some hours behind must not see a certificate from tomorrow

SignerKey = ec.EllipticCurvePrivateKey
LOCAL_NAMES = ("local", "localhost")
# RFC 1918, 3927, 1122, 4193, 4291: what no other network on earth can be reached by.
PRIVATE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)
_NAME_MAX = 64  # RFC 5280, ub-common-name


@dataclass(frozen=True)
class Pair:
    """A certificate and the key that belongs to it."""

    key: PrivateKeyTypes
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """Both in one text, so that one rename puts both in place and no crash can part them."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)


def make_authority(name: str, domain: str | None, now: datetime) -> Pair:
    """Make the store's authority. `domain` is the owner's, beside those of every shop network."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(one) for one in (*LOCAL_NAMES, domain) if one]
    bounds = x509.NameConstraints([*names, *map(x509.IPAddress, PRIVATE)], None)
    subject = _subject(f"Aisled {name} {now:%Y-%m-%d}")
    builder = (
        _builder(subject, subject, key.public_key(), key.public_key())
        .not_valid_before(_seconds(now - BACKDATE))
        .not_valid_after(_seconds(now - BACKDATE + AUTHORITY_LIFE))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(bounds, critical=True)
    )
    return Pair(key, builder.sign(key, hashes.SHA256()))


def make_leaf(authority: Pair, names: Collection[str], addresses: Iterable[IPAddress], now: datetime) -> Pair:
    """Make a server certificate for names and addresses that `permits` allows; it never outlives the authority."""
    key, issuer, signer = ec.generate_private_key(ec.SECP256R1()), authority.certificate, authority.key
    assert isinstance(signer, SignerKey), "an authority of ours has a P-256 key"
    begin = _seconds(now - BACKDATE)
    bound_to = [*map(x509.DNSName, sorted(names)), *map(x509.IPAddress, sorted(addresses, key=str))]
    builder = (
        _builder(_subject(min(names)), issuer.subject, key.public_key(), signer.public_key())
        .not_valid_before(begin)
        .not_valid_after(min(begin + LEAF_LIFE, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(bound_to), critical=False)
    )
    return Pair(key, builder.sign(signer, hashes.SHA256()))


def permits(authority: x509.Certificate, wanted: str | IPAddress) -> bool:
    """Tell whether the authority may sign for this name or address; one bad entry would spoil the whole leaf."""
    try:
        bounds = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    except x509.ExtensionNotFound:
        return False  # not made by us: it could sign for any bank, and we do not use such a one
    values = [one.value for one in bounds]
    if isinstance(wanted, str):
        domains = [value for value in values if isinstance(value, str)]
        return any(wanted == domain or wanted.endswith(f".{domain}") for domain in domains)
    return any(wanted in value for value in values if isinstance(value, IPv4Network | IPv6Network))


def bound_to(leaf: x509.Certificate) -> tuple[set[str], set[IPAddress]]:
    """Return the names and the addresses that a certificate is for."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set(), set()
    addresses = found.get_values_for_type(x509.IPAddress)
    return set(found.get_values_for_type(x509.DNSName)), {one for one in addresses if isinstance(one, IPAddress)}


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_NAME_MAX])])


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)  # certificates count whole seconds
