"""One count while it runs: what was heard, how much of what is there that may be, and whether it is complete.

Time is cut into slots. From how many items were heard in one slot only, and how many in two, follows how many were not
heard at all (Chao's lower bound, bias-corrected: A. Chao, Biometrics 43, 1987): items that are hard to hear are the
rule in a shop, and the plain capture-recapture of two halves would call too much heard. Pure.
Not here: what it means for products (`count_result.py`), who starts and ends it (`counts.py`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gateway.count_notes import CountOpened, KeptCount, SeenItem
from gateway.messages import TagReads
from gateway.rules.zones import Spot

SLOT_US = 10_000_000
MOST_SLOTS = 3  # beyond, an item is well heard: the estimate asks for one and two only
SILENT_CDBM = -12_000  # power of a read that tells none
ENOUGH_READS = 1000
ENOUGH_SLOTS = 3
NEW_PER_1000 = 1.0  # below, nothing is to be gained by going on


class Heard(NamedTuple):
    """How many items were heard, in one slot only, and in two."""

    items: int
    once: int
    twice: int


class _Slot(NamedTuple):
    reads: int
    new: int


class CountSession:
    """A count. `changed` are the items that the store does not know yet."""

    def __init__(self, kept: KeptCount) -> None:
        self.opened: CountOpened = kept.opened
        self.zones = frozenset(kept.opened.zones)
        self._opened_us = int(kept.opened.at.timestamp() * 1e6)
        self.expected = {item.epc: item for item in kept.opened.expected}
        self.seen: dict[str, SeenItem] = {item.epc: item for item in kept.seen}
        self.found = sum(epc in self.expected for epc in self.seen)
        self.reads, self.slots = kept.reads, kept.slots
        self.changed: dict[str, None] = {}
        self._slot = max((item.last_slot for item in kept.seen), default=-1)
        self._reads = self._new = 0  # in the slot that runs
        self._recent: deque[_Slot] = deque(maxlen=1000)

    def hear(self, message: TagReads, spots: Mapping[int, Spot], gtin_of: Callable[[str], str | None]) -> None:
        """Take the reads of one reader."""
        for read in message.reads:
            spot = spots.get(read.antenna)
            if spot is None or spot.zone.id not in self.zones or read.at_us < self._opened_us:
                continue  # a read from before the count, told late, says nothing of what is there now
            power = SILENT_CDBM if read.rssi_cdbm is None else read.rssi_cdbm + spot.offset_cdb
            if spot.floor_cdbm is not None and power < spot.floor_cdbm:
                continue
            self._turn(read.at_us // SLOT_US)
            self._note(read.epc, spot.zone.id, power, gtin_of)
            self._reads += read.seen
            self.reads += read.seen

    def _turn(self, slot: int) -> None:
        if slot > self._slot:
            if self._reads:
                self._recent.append(_Slot(self._reads, self._new))
            self._slot, self._reads, self._new = slot, 0, 0
            self.slots += 1

    def _note(self, epc: str, zone: str, power: int, gtin_of: Callable[[str], str | None]) -> None:
        before = self.seen.get(epc)
        if before is None:
            self.seen[epc] = SeenItem(epc, gtin_of(epc), zone, power, 1, self._slot)
            self._new += 1
            self.found += epc in self.expected
        else:
            again = self._slot != before.last_slot and before.slots < MOST_SLOTS
            if not again and power <= before.rssi_cdbm:
                return
            best = (zone, power) if power > before.rssi_cdbm else (before.zone, before.rssi_cdbm)
            slots = before.slots + again
            self.seen[epc] = SeenItem(epc, before.gtin, *best, slots, self._slot if again else before.last_slot)
        self.changed[epc] = None

    def take_changed(self) -> tuple[SeenItem, ...]:
        """Return what the store does not know yet, once."""
        items = tuple(self.seen[epc] for epc in self.changed)
        self.changed.clear()
        return items

    def coverage(self, zones: Iterable[str] | None = None) -> float | None:
        """Return the share of what is there that was heard, in these zones (all); None while nobody can tell."""
        heard = self._heard(frozenset(self.zones if zones is None else zones))
        return None if self.slots < ENOUGH_SLOTS else estimate(heard, self.slots)

    def _heard(self, zones: frozenset[str]) -> Heard:
        slots = [item.slots for item in self.seen.values() if item.zone in zones]
        return Heard(len(slots), slots.count(1), slots.count(2))

    def new_per_1000(self) -> float | None:
        """Return how many of the newest thousand reads were of items not heard before; None while too few were read."""
        wanted = max(ENOUGH_READS, 2 * len(self.seen))
        reads = new = 0
        for slot in reversed(self._recent):
            reads, new = reads + slot.reads, new + slot.new
            if reads >= wanted:
                return 1000 * new / reads
        return None

    def is_complete(self) -> bool:
        """Tell whether going on would find next to nothing more."""
        rate = self.new_per_1000()
        return rate is not None and rate < NEW_PER_1000 and self.slots > ENOUGH_SLOTS


def estimate(heard: Heard, slots: int) -> float | None:
    """Return heard / (heard + unheard) by Chao's bias-corrected lower bound; None when nothing was heard."""
    if not heard.items:
        return None
    unheard = (slots - 1) / slots * heard.once * (heard.once - 1) / (2 * (heard.twice + 1))
    return heard.items / (heard.items + unheard)
