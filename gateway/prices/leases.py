"""What tills that sell from a cache may still charge. Pure; which acts follow is `switch.py`, who counts time the desk.

A till acknowledges the feed of prices up to a version and gets a lease: until it is over, it may charge the prices of
that version and every later one that it could have heard. So of each product count: the price at the lowest version
that any lease is on, and all after it. A price that falls therefore reaches no label before every till has
acknowledged the fall, or its lease is over. `Superseded` prices are remembered for that, in the order of versions.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from gateway.notes import Superseded
from gateway.prices.switch import CachingTill
from gateway.prices.work import pages

REMEMBERED = 20_000  # prices given up that are remembered without a lease, so that a till a little behind can get one
NEVER = -1  # version of a lease of which nothing is known: its till may charge anything
ANYTHING = 10**12  # as high as a price can be


class Leases:
    """Leases of tills and the prices that they hold up. No cache of a version below `floor` counts."""

    def __init__(self, leases: dict[str, int], superseded: Iterable[Superseded], floor: int = 0) -> None:
        self._leases, self._floor = dict(leases), floor
        self._log = deque(superseded)
        self._holding: deque[Superseded] = deque()  # those of the log that some lease may still charge
        self._held: dict[str, list[int]] = {}
        deque(self._hold_above(self._lowest()), maxlen=0)

    def supersede(self, old: Superseded) -> None:
        """Note that a price was given up at a version."""
        self._log.append(old)
        if self._leases:
            self._hold(old)
        self._trim()

    def till(self, gtin: str) -> CachingTill:
        """Return the caching tills of the shop as one, less the price that is charged now."""
        held = frozenset(self._held.get(gtin, ()))
        return CachingTill(None, None, held | {ANYTHING} if NEVER in self._leases.values() else held)

    def missed(self, version: int) -> Sequence[Superseded] | None:
        """Return what a till at this version has not heard yet; None = that is not known any more."""
        forgotten = len(self._log) >= REMEMBERED and self._log[0].version > version + 1
        if forgotten or version < self._floor:
            return None
        return list(takewhile(lambda old: old.version > version, reversed(self._log)))[::-1]

    def version(self, terminal: str) -> int | None:
        """Return the version that a terminal has a lease on."""
        return self._leases.get(terminal)

    def change(self, terminal: str, version: int | None) -> Iterator[Sequence[str] | None]:
        """Let a terminal sell from a cache of this version; None = it sells no more from its cache.

        Yields the products that are held up less now, step by step; None = all.
        """
        before = self._lowest()
        self._leases.pop(terminal, None)
        if version is not None:
            self._leases[terminal] = version
        lowest = self._lowest()
        if lowest is None or before is None or before == NEVER or lowest < before:
            released = None if before == NEVER else tuple(self._held)
            if lowest != before:
                yield from self._hold_above(lowest)
                yield released
        else:
            yield from self._release(lowest)

    def _lowest(self) -> int | None:
        return min(self._leases.values(), default=None)

    def _release(self, lowest: int) -> Iterator[Sequence[str]]:
        gone = list(takewhile(lambda old: old.version <= lowest, self._holding))
        for page in pages(gone):
            for old in page:
                self._holding.popleft()
                del self._held[old.gtin][0]
                if not self._held[old.gtin]:
                    del self._held[old.gtin]
            yield [old.gtin for old in page]
        self._trim()

    def _hold_above(self, lowest: int | None) -> Iterator[Sequence[str]]:
        self._holding.clear()
        self._held.clear()
        for page in pages(self._log if lowest is not None else ()):
            for old in page:
                if old.version > (lowest or 0):
                    self._hold(old)
            yield ()
        self._trim()

    def _hold(self, old: Superseded) -> None:
        if old.price_minor is not None:
            self._holding.append(old)
            self._held.setdefault(old.gtin, []).append(old.price_minor)

    def _trim(self) -> None:
        while len(self._log) > REMEMBERED and (not self._holding or self._log[0].version < self._holding[0].version):
            self._log.popleft()
