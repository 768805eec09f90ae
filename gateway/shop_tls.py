"""TLS for what the gateway serves in the shop: the owner's certificate, or one of the store's own authority.

It joins `certificates/` with the configuration. Not here: the line to head office (`drivers/_mqtt_socket.py`).
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.certificates import StoreCertificates, owner_files, server_context, terminal_of
from gateway.driver import Clock
from gateway.errors import ConfigError


class ShopTls:
    """See `gateway.driver.Certificates`. `store` is the shop's number: its gateway is found as gw-<store>.local."""

    def __init__(self, folder: Path, store: str, clock: Clock) -> None:
        self._clock = clock
        self._own = StoreCertificates(folder / "tls", [f"gw-{store.replace('_', '-')}.local".lower()], clock.now)

    def server_context(self, certificate: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
        """Return a context; reads, and at first writes, files. A renewed certificate comes with the next call."""
        if certificate is None or key is None:
            return server_context(self._own.ensure(), client_ca)
        return server_context(owner_files(certificate, key, self._clock.now()), client_ca)

    def terminal_of(self, peer: Mapping[str, Any] | None) -> str | None:
        """Return the terminal that a verified client certificate names."""
        return terminal_of(peer)

    def fingerprint(self) -> str | None:
        """Return the SHA-256 of the shop's authority, None while there is none."""
        try:
            return self._own.fingerprint()
        except ConfigError:
            return None
