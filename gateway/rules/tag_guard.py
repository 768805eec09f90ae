"""Which tags are believed: a ghost (noise that passes the 16 bits of Gen2's checksum) is heard once.

An EPC that was never heard needs two reads within five seconds, or reads of two antennas. One read is enough when its
product is in head office's item master: a ghost hits one of those about never.
"""

from collections.abc import Callable, Iterable

from gateway.messages import ProductsUpdate
from gateway.rules.tag_place import hear
from gateway.rules.tag_presence import FIRST_GAP_US, HEARING_US, SECOND_US
from gateway.rules.tag_state import Ear, Tag
from gateway.tag_notes import KeptTag

WITHIN_US = 5 * SECOND_US
KEPT_US = 60 * SECOND_US  # a second antenna may come round so late
MOST = 10_000  # tags heard once; whoever floods us with made-up EPCs fills no more than this


class Guard:
    """Tags that were heard and are not believed yet. `gtin_of` tells the product of an EPC, None if it says none."""

    def __init__(self, products: Iterable[str], gtin_of: Callable[[str], str | None]) -> None:
        self._products = {gtin: gtin for gtin in products}  # all tags of a product share one text
        self._gtin_of = gtin_of
        self._heard: dict[str, Tag] = {}

    def update(self, update: ProductsUpdate) -> None:
        """Take head office's item master."""
        if update.full:
            self._products.clear()
        self._products |= {product.gtin: product.gtin for product in update.products}

    def new(self, epc: str, state: str, at_us: int) -> Tag:
        """Return a tag without a place."""
        gtin = self._gtin_of(epc)
        return Tag(epc, None if gtin is None else self._products.get(gtin, gtin), state, at_us, FIRST_GAP_US)

    def hear(self, epc: str, ear: Ear, cdbm: int, at_us: int, seen: int) -> Tag | None:
        """Take a read of an unknown tag; return it as soon as it is believed."""
        tag = self._heard.pop(epc, None)
        if tag is None or not -KEPT_US <= at_us - tag.since_us <= KEPT_US:
            tag = self.new(epc, "heard", at_us)
            tag.since_us = at_us
        near = -WITHIN_US <= at_us - tag.since_us <= WITHIN_US
        another = bool(tag.marks) and all(mark.ear is not ear for mark in tag.marks)
        believed = tag.gtin in self._products or seen > 1 or another or (near and bool(tag.marks))
        tag.since_us = at_us
        hear(tag, ear, cdbm, at_us)
        if believed:
            return tag
        self._heard[epc] = tag
        if len(self._heard) > MOST:
            del self._heard[next(iter(self._heard))]
        return None

    def restored(self, one: KeptTag) -> Tag:
        """Return a tag as it was kept, without a place."""
        gtin = None if one.gtin is None else self._products.get(one.gtin, one.gtin)
        tag = Tag(one.epc, gtin, one.state, one.last_us, float(max(one.gap_us, HEARING_US)))
        tag.zone, tag.alarm, tag.inbound = one.zone, one.alarm, one.inbound
        tag.since_us, tag.hearings = one.until_us or 0, 0
        return tag
