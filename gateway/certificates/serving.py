"""TLS for a server: the context it listens with, and which till a client certificate belongs to.

Not here: whether that till may do what it asks. Next: `store.py` and `files.py`, where the files come from.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.certificates.files import ServerFiles
from gateway.errors import ConfigError

URI_PREFIX = "aisled:terminal:"
TERMINAL = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def server_context(files: ServerFiles, client_ca: Path | None = None) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and up. With `client_ca` a client may show a certificate, and it must be from there.

    After a renewal `context.load_cert_chain(files.cert, files.key)` on the same context serves new connections, and
    disturbs no old one. Raises ConfigError when the files do not do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.cert, files.key, password=_no_pass_phrase)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{files.cert} and {files.key} cannot be served: {error}") from error
    if client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(client_ca)
        except OSError as error:
            raise ConfigError(f"{client_ca} holds no certificate authority of the tills: {error}") from error
    return context


def terminal_of(peer: Mapping[str, Any] | None) -> str | None:
    """Return the till that a verified client certificate names, from `SSLSocket.getpeercert()`.

    That is its one SAN URI `aisled:terminal:<id>`, or, when it has no such URI, its one common name. None when there is
    no certificate, no fitting id, or more than one: a certificate that means two tills is nobody's.
    """
    if not peer:
        return None
    uris = [value.removeprefix(URI_PREFIX) for value in _uris(peer) if value.startswith(URI_PREFIX)]
    named = uris or list(_common_names(peer))
    return named[0] if len(named) == 1 and TERMINAL.fullmatch(named[0]) else None


def _uris(peer: Mapping[str, Any]) -> Iterator[str]:
    return (value for kind, value in peer.get("subjectAltName", ()) if kind == "URI")


def _common_names(peer: Mapping[str, Any]) -> Iterator[str]:
    return (value for part in peer.get("subject", ()) for kind, value in part if kind == "commonName")


def _no_pass_phrase() -> str:
    return ""  # else OpenSSL asks at the terminal, and a daemon would wait for ever
