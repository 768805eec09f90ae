"""The shop's own certificates, for the tills' interface and the technicians' page.

`StoreCertificates` makes and renews them (`store.py`), `owner_files` takes the owner's own instead, `server_context`
serves with either (`serving.py`). Only our own errors are imported, so that nothing else of the gateway is needed to
speak TLS. Not here: the tills' tokens (`drivers/_terminal_tokens.py`), the uplink's TLS (`drivers/_mqtt_socket.py`).
"""

from gateway.certificates.addresses import IPAddress, own_addresses
from gateway.certificates.files import ServerFiles, fingerprint, owner_files
from gateway.certificates.serving import server_context, terminal_of
from gateway.certificates.store import StoreCertificates

__all__ = [
    "IPAddress",
    "ServerFiles",
    "StoreCertificates",
    "fingerprint",
    "own_addresses",
    "owner_files",
    "server_context",
    "terminal_of",
]
