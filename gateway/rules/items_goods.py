"""Goods that came in: items first heard at goods in are received when they go on into the shop.

Several that settle within seconds are told in one fact, by product and zone. Not here: what a delivery should hold and
does not (a count of kind `receiving`); items that such a count has told of are not told again.
"""

from datetime import datetime

from gateway.messages import GoodsReceived, Message
from gateway.rules.items_book import ItemBook
from gateway.rules.items_facts import instant, kept
from gateway.rules.tag_presence import SECOND_US
from gateway.rules.tag_state import Tag

TOGETHER_US = 5 * SECOND_US
MOST = 100  # items in one fact
STOCKED = ("floor", "backroom", "fitting", "till")  # kinds of zones where goods have arrived
NEVER = 1 << 62


class GoodsIn:
    """Items that were received and are not told yet."""

    def __init__(self, book: ItemBook) -> None:
        self._book = book
        self._waiting: dict[tuple[str | None, str], list[tuple[Tag, str]]] = {}
        self.next_us = NEVER

    def settled(self, tag: Tag, kind: str | None, now_us: int, source: str) -> None:
        """Note that an item which came at goods in is in a zone of this kind now."""
        if kind not in STOCKED or tag.zone is None:
            return
        self._waiting.setdefault((tag.gtin, tag.zone), []).append((tag, source))
        self.next_us = min(self.next_us, now_us + TOGETHER_US)

    def due(self, now_us: int, at: datetime) -> list[Message]:
        """Tell what has waited long enough: all of it, so that a delivery is few facts."""
        if now_us < self.next_us:
            return []
        waiting, self._waiting, self.next_us = self._waiting, {}, NEVER
        return [message for (gtin, zone), tags in waiting.items() for message in self._told(gtin, zone, tags, at)]

    def set_back(self, now_us: int) -> None:
        """Follow a clock that was set back."""
        if self._waiting:
            self.next_us = min(self.next_us, now_us + TOGETHER_US)

    def told_otherwise(self, fact: GoodsReceived) -> list[Message]:
        """Take a count's word for items that came."""
        tags = [tag for epc in fact.epcs if (tag := self._book.get(epc)) is not None and tag.inbound]
        for tag in tags:
            tag.inbound = False
        return [kept(tag, fact.at) for tag in tags]

    def _told(self, gtin: str | None, zone: str, waiting: list[tuple[Tag, str]], at: datetime) -> list[Message]:
        # An item may have been told by a count, sold or forgotten meanwhile, and may be in the list twice.
        tags = {tag.epc: (tag, source) for tag, source in waiting if tag.inbound and self._book.get(tag.epc) is tag}
        out: list[Message] = []
        rows = list(tags.values())
        for start in range(0, len(rows), MOST):
            part = rows[start : start + MOST]
            last_us, source = max(tag.last_us for tag, _ in part), part[0][1]
            when = min(at, instant(last_us))
            epcs = tuple(tag.epc for tag, _ in part)
            out.append(GoodsReceived(at=when, source=source, gtin=gtin, epcs=epcs, zone=zone))
        for tag, _ in rows:
            tag.inbound = False
            out.append(kept(tag, at))
        return out
