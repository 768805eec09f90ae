"""The shop's own authority and server certificate: made at the first start, renewed in time, the authority kept.

Three files in one folder, each written in one rename and of mode 0600: `authority.pem` (its key and certificate),
`ca.pem` (the certificate alone, to hand out), `server.pem` (key and certificate that the gateway serves). The
authority's key may be taken away once tills and phones trust it; then nothing can be renewed until it is back.

A new authority is never made in place of an old one, whatever the clock says: that would end every till's trust. And
what can be served is served: a certificate that cannot be renewed stays, with a warning.
"""

import logging
import re
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.certificates import mint
from gateway.certificates.addresses import IPAddress, own_addresses
from gateway.certificates.files import ServerFiles, fingerprint, read_certificate, read_pair, write_private
from gateway.errors import ConfigError

ALWAYS = "localhost"  # what runs on this machine may ask too
RENEW_AT = 2 / 3  # of its life: a third, four months, is left for a person to mend what hinders it
MAX_ADDRESSES = 64  # containers can give a machine hundreds, which would make every handshake longer

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")

log = logging.getLogger(__name__)


class StoreCertificates:
    """Keeps the files right for these names. `addresses` says which the machine has now, `domain` is the owner's.

    For one process, the gateway: `ensure` at its start and every hour or so, off the event loop (it syncs the disk).
    """

    def __init__(
        self,
        folder: Path,
        names: Collection[str],
        now: Callable[[], datetime],
        *,
        addresses: Callable[[], Collection[IPAddress]] = own_addresses,
        domain: str | None = None,
    ) -> None:
        self._names = {ALWAYS, *map(_host, names)}
        self._title = next(map(_host, names), "store")
        self._domain = _host(domain) if domain else None
        self._now, self._addresses = now, addresses
        self._folder = folder
        self._authority, self._ca, self._server = (folder / f"{name}.pem" for name in ("authority", "ca", "server"))

    def ensure(self) -> ServerFiles:
        """Make what is missing, renew what is due. Raises ConfigError when there is nothing to serve with."""
        leaf = None
        try:
            leaf = self._leaf()
            leaf = self._renewed(leaf)
        except (ConfigError, OSError) as error:
            if leaf is None:
                raise ConfigError(f"no certificate to serve with: {error}") from error
            log.warning(
                "%s stays as it is, until %s: %s", self._server, leaf.not_valid_after_utc, error, extra={"once": "tls"}
            )
        return ServerFiles(self._server, self._server, self._ca, leaf.not_valid_after_utc)

    def fingerprint(self) -> str:
        """Return the authority's SHA-256, for a person to compare before trusting it. `ensure` comes first."""
        return fingerprint(self._ca)

    def _leaf(self) -> x509.Certificate | None:
        if not self._server.exists():
            return None
        try:
            return read_pair(self._server).certificate
        except ConfigError as error:
            log.warning("making a new server certificate: %s", error)
            return None

    def _renewed(self, leaf: x509.Certificate | None) -> x509.Certificate:
        now = self._now()
        ca = self._ready_authority(now)
        names, addresses = self._wanted(ca)
        if leaf is not None and _still_good(leaf, ca, names, addresses, now):
            return leaf
        fresh = mint.make_leaf(self._signer(now), names, addresses, now)
        write_private(self._server, fresh.pem)
        log.info("a new server certificate, valid until %s", fresh.certificate.not_valid_after_utc)
        return fresh.certificate

    def _ready_authority(self, now: datetime) -> x509.Certificate:
        """Return the authority's certificate; make it at the first start. Its copy to hand out is put right."""
        if not self._authority.exists():
            if self._ca.exists():
                return read_certificate(self._ca)  # the key was taken away
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._authority, mint.make_authority(self._title, self._domain, now).pem)
        certificate = read_pair(self._authority).certificate
        public = certificate.public_bytes(Encoding.PEM)
        if not self._ca.exists() or self._ca.read_bytes() != public:
            write_private(self._ca, public)
        return certificate

    def _wanted(self, ca: x509.Certificate) -> tuple[set[str], set[IPAddress]]:
        """Return what the certificate must be for. A public address is left out: no authority of ours may sign it."""
        for name in sorted(self._names):
            if not mint.permits(ca, name):
                raise ConfigError(f'"{name}" is not a name that the shop\'s authority may sign for; {self._anew()}')
        addresses = sorted((one for one in self._addresses() if mint.permits(ca, one)), key=str)
        return self._names, set(addresses[:MAX_ADDRESSES])

    def _signer(self, now: datetime) -> mint.Pair:
        if not self._authority.exists():
            raise ConfigError(f"the authority's key was taken away: put {self._authority} back; {self._anew()}")
        pair = read_pair(self._authority)
        if not isinstance(pair.key, mint.SignerKey):
            raise ConfigError(
                f"{self._authority} is not the authority that the gateway made; put that back; {self._anew()}"
            )
        begin, end = pair.certificate.not_valid_before_utc, pair.certificate.not_valid_after_utc
        if not begin <= now < end:
            raise ConfigError(
                f"{self._authority} is valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}, and here it is {now:%Y-%m-%d}: "
                f"set the clock; {self._anew()}"
            )
        return pair

    def _anew(self) -> str:
        return (
            f"or remove {self._authority} and {self._ca} for a new authority, which every till and phone must then be "
            "told to trust"
        )


def _host(name: str) -> str:
    host = name.strip().rstrip(".").lower()
    if not _HOST.fullmatch(host):
        raise ConfigError(f'"{name}" is not a host name; for example gw-0421.local')
    return host


def _still_good(
    leaf: x509.Certificate, ca: x509.Certificate, names: set[str], addresses: set[IPAddress], now: datetime
) -> bool:
    """Tell whether the certificate can go on. An address that went may stay in it: it comes back with the cable."""
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    own_names, own_addresses = mint.bound_to(leaf)
    return (
        begin <= now < begin + (end - begin) * RENEW_AT
        and own_names == names
        and own_addresses >= addresses
        and _is_issued_by(leaf, ca)
    )


def _is_issued_by(leaf: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
