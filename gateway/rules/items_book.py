"""All items that are known, and how one changes: its state, the counts by product and zone, what is told and kept.

`stock` and the totals change with each item, nothing is ever counted anew. At most MOST tags are remembered; when there
are more, those that have been absent longest go, and an alarm says so. Not here: why an item changes (`items.py`,
`exit_gate.py`).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from gateway.messages import GATEWAY, AlarmRaised, Message
from gateway.rules.items_facts import absent, arrived, instant, kept, moved
from gateway.rules.tag_place import start_over
from gateway.rules.tag_presence import Deadlines, silent_us
from gateway.rules.tag_state import Tag
from gateway.rules.zones import Zones
from gateway.tag_notes import TagsForgotten

MOST = 200_000  # of 1.2 kB each, if three antennas hear them
DROPPED = 2_000  # at once, when there are too many
CHUNK = 1_000  # EPCs in one note
NOT_ITEMS = ("visitor", "gone")


class Item(NamedTuple):
    """What others may know of an item. `state`: present, absent, sold or left."""

    epc: str
    gtin: str | None
    zone: str | None
    state: str
    last_read_at_us: int


class ItemBook:
    """The book. `deadlines` says when to look at a present item again."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._tags: dict[str, Tag] = {}
        self._stock: dict[tuple[str | None, str], int] = {}
        self._crowded = False
        self.deadlines = Deadlines()
        self.uptime_us = 0

    def get(self, epc: str) -> Tag | None:
        """Return a tag."""
        return self._tags.get(epc)

    @property
    def tags(self) -> dict[str, Tag]:
        """Return all tags by EPC, for the one loop that hears a thousand of them a second. Not to be changed."""
        return self._tags

    def item(self, epc: str) -> Item | None:
        """Return what is known of an item."""
        tag = self._tags.get(epc)
        return None if tag is None or tag.state in NOT_ITEMS else _item(tag)

    def items(self) -> Iterator[Item]:
        """Yield all items."""
        return (_item(tag) for tag in self._tags.values() if tag.state not in NOT_ITEMS)

    def stock(self) -> Mapping[tuple[str | None, str], int]:
        """Return the number of present items by product (None: unknown) and zone. A view: it changes."""
        return MappingProxyType(self._stock)

    def add(self, tag: Tag) -> None:
        """Take in a tag that is known by the store or by a sale, as it is."""
        self._tags[tag.epc] = tag
        self._count(tag, 1)
        self.watch(tag)

    def watch(self, tag: Tag) -> None:
        """Look at it again after a while, when no read will tell."""
        if tag.state == "present" and not tag.watched:
            tag.watched = True
            self.deadlines.put(tag, self.uptime_us)

    def settle(self, tag: Tag, state: str, zone: str | None) -> None:
        """Change state and zone, and the counts with them."""
        self._count(tag, -1)
        tag.state, tag.zone = state, zone
        self._count(tag, 1)
        self.watch(tag)

    def arrive(self, tag: Tag, zone: str, at_us: int, source: str, *, back: bool) -> list[Message]:
        """Say that a tag is in the shop."""
        if tag.epc not in self._tags:
            self._tags[tag.epc] = tag
            tag.inbound = not back and self._kind(zone) == "goods_in"
        self.settle(tag, "present", zone)
        at, tag.since_us = instant(at_us), at_us
        return [arrived(tag, zone, at, source, back=back), kept(tag, at), *self._crowd(at)]

    def move(self, tag: Tag, zone: str, at_us: int, source: str) -> list[Message]:
        """Say that a tag is in another zone."""
        before, at = tag.zone or zone, instant(at_us)
        self.settle(tag, "present", zone)
        return [moved(tag, zone, before, at, source), kept(tag, at)]

    def miss(self, tag: Tag, at: datetime) -> list[Message]:
        """Say that a tag is not heard any more."""
        fact = absent(tag, tag.zone or "", at, silent_us(tag))
        self.settle(tag, "absent", tag.zone)
        start_over(tag)
        return [fact, kept(tag, at)]

    def let_go(self, tag: Tag, until_us: int, at: datetime) -> list[Message]:
        """Forget an item that was sold and left, or an EPC that no tag bears any more.

        Until then a read of it is no news either, but that is not kept.
        """
        self.settle(tag, "gone", None)
        tag.since_us, tag.alarm, tag.inbound = until_us, None, False
        return [TagsForgotten(at=at, source=GATEWAY, epcs=(tag.epc,))]

    def forget(self, tags: list[Tag], at: datetime) -> list[Message]:
        """Forget tags for good."""
        kept_ones: list[str] = []
        for tag in tags:
            self._count(tag, -1)
            del self._tags[tag.epc]
            if tag.state not in NOT_ITEMS:
                kept_ones.append(tag.epc)
        chunks = [tuple(kept_ones[start : start + CHUNK]) for start in range(0, len(kept_ones), CHUNK)]
        return [TagsForgotten(at=at, source=GATEWAY, epcs=chunk) for chunk in chunks]

    def _count(self, tag: Tag, change: int) -> None:
        if tag.state == "present" and tag.zone is not None:
            key = tag.gtin, tag.zone
            self._stock[key] = self._stock.get(key, 0) + change
            if not self._stock[key]:
                del self._stock[key]

    def _kind(self, zone: str) -> str | None:
        found = self._zones.get(zone)
        return None if found is None else found.kind

    def _crowd(self, at: datetime) -> list[Message]:
        """Make room when there are too many tags, and say so once."""
        if len(self._tags) <= MOST:
            return []
        others = sorted((tag for tag in self._tags.values() if tag.state != "present"), key=lambda tag: tag.last_us)
        oldest = others or sorted(self._tags.values(), key=lambda tag: tag.last_us)
        out = self.forget(oldest[:DROPPED], at)
        if self._crowded:
            return out
        self._crowded = True
        text = f"more than {MOST} tags are known; those that were heard of longest ago are forgotten from now on"
        step = "look whether readers hear what is not the shop's: power, floor_dbm of the zones, a warehouse next door"
        return [*out, AlarmRaised(at=at, source=GATEWAY, alarm="rfid_tags", text=text, next_step=step)]


def _item(tag: Tag) -> Item:
    return Item(tag.epc, tag.gtin, tag.zone, tag.state, tag.last_us)
