"""URIs of what events speak of: items, places, the shop, documents. Pure.

An item is a GS1 Digital Link, or a URN of EPC; what no one can decode is `urn:epc:raw:`, which holds its bits. With a
key, serials become keyed digests: the same item has the same name for ever, and nobody without the key finds its serial
(a plain digest of 38 bits would be found by trying all).
"""

import hmac
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from gateway.codes.epc import RESOLVER, EpcIdentity, decode, raw_uri
from gateway.rules.zones import Zones

DIGEST_CHARACTERS = 20  # GS1 General Specifications: AI 21 has at most 20; 80 bits, so that no two items meet
MAX_EXTENSION = 20  # AI 254

Form = Literal["digital_link", "urn"]


class Names:
    """Names for one shop. `base`: under it stand our own names, a URN or a web address without a last slash."""

    def __init__(
        self, zones: Zones, base: str, *, gln: str | None = None, form: Form = "digital_link", key: bytes | None = None
    ) -> None:
        self._read_points: Mapping[str, str] = {z.id: z.read_point for z in zones if z.read_point is not None}
        self._base, self._separator = base, ":" if base.startswith("urn:") else "/"
        self._gln, self._form, self._key = gln, form, key

    def epc(self, epc: str) -> str:
        """Return the URI of an item (EPC in hex)."""
        said = decode(epc)
        if self._key is not None:
            return self._hidden(epc, said, self._key)
        if said is None:
            return raw_uri(epc)
        return said.uri if self._form == "urn" or said.digital_link is None else said.digital_link

    def _hidden(self, epc: str, said: EpcIdentity | None, key: bytes) -> str:
        digest = hmac.new(key, epc.encode(), "sha256").hexdigest()[:DIGEST_CHARACTERS]
        if said is None or said.gtin is None:
            return self.own("items", digest)
        if self._form == "urn":
            return f"{'.'.join(said.uri.split('.')[:2])}.{digest}"
        return f"{RESOLVER}/01/{said.gtin}/21/{digest}"

    def shop(self) -> str:
        """Return the URI of the shop."""
        return self._base if self._gln is None else f"{RESOLVER}/414/{self._gln}"

    def place(self, place: str) -> str:
        """Return the URI of a place in the shop, `zones/<id>` and the like."""
        kind, _, name = place.partition("/")
        if kind == "zones" and name in self._read_points:
            return self._read_points[name]
        if kind == "zones" and self._gln is not None and len(name) <= MAX_EXTENSION:
            return f"{RESOLVER}/414/{self._gln}/254/{quote(name, safe='')}"
        return self.own(kind, name)

    def own(self, *steps: str) -> str:
        """Return a URI of ours."""
        return self._separator.join((self._base, *(quote(step, safe="") for step in steps)))
