"""TLS for what the gateway serves in the shop: the owner's certificate, or one of the store's own authority.

It joins `certificates/` with the configuration. Not here: the line to head office (`drivers/_mqtt_socket.py`).
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.driver import Clock


class ShopTls:
    """See `gateway.driver.Certificates`. `store` is the shop's number: its gateway is found as gw-<store>.local.

    `cryptography` takes 20 MiB, so it is loaded only where something is served.
    """

    def __init__(self, folder: Path, store: str, clock: Clock) -> None:
        self._folder, self._clock = folder / "tls", clock
        self._name = f"gw-{store.replace('_', '-')}.local".lower()

    def server_context(self, certificate: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
        """Return a context; reads, and at first writes, files. A renewed certificate comes with the next call."""
        from gateway.certificates import StoreCertificates, owner_files, server_context  # noqa: PLC0415

        if certificate is None or key is None:
            own = StoreCertificates(self._folder, [self._name], self._clock.now)
            return server_context(own.ensure(), client_ca)
        return server_context(owner_files(certificate, key, self._clock.now()), client_ca)

    def terminal_of(self, peer: Mapping[str, Any] | None) -> str | None:
        """Return the terminal that a verified client certificate names."""
        from gateway.certificates import terminal_of  # noqa: PLC0415

        return terminal_of(peer)
