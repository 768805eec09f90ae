"""Tills that sell from a cache ask for leases, and leases end. Pure. What a cache holds up: `leases.py`."""

from gateway import messages as m
from gateway import notes
from gateway.prices import switch
from gateway.prices.leases import NEVER
from gateway.prices.shop import Shop
from gateway.prices.work import PAUSE, Steps, Work, pages


class Caches:
    """Handles leases."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def leased(self, ask: m.TillLeased) -> Steps:
        """Grant or renew a lease, unless the cache holds a price that a label may show lower: nothing = refused."""
        till = self._shop.till
        on = till.leases.version(ask.terminal)
        held = on is not None and on != NEVER
        if ask.version > till.version or ask.version < (on or 0):
            return
        if not held and not (yield from self._harmless(ask.version)):
            return
        yield from self._release(ask.terminal, ask.version)
        kept = notes.LeaseKept(
            at=ask.at, source=ask.source, terminal=ask.terminal, version=ask.version, lease_s=ask.lease_s
        )
        yield [kept]

    def lease_over(self, over: m.TillLeaseOver) -> Steps:
        """Note that a till sells no more from its cache."""
        yield from self._release(over.terminal, None)
        yield [notes.LeaseKept(at=over.at, source=over.source, terminal=over.terminal, version=None)]

    def _harmless(self, version: int) -> Work[bool]:
        """Tell whether no price of a cache of this version is above one that a label may show."""
        missed = self._shop.till.leases.missed(version)
        lowest = self._shop.shelf.lowest
        for page in pages(missed or ()):
            if any(p is not None and switch.charge_for(p, lowest(gtin)) != p for _, gtin, p in page):
                return False
            yield PAUSE
        return missed is not None

    def _release(self, terminal: str, version: int | None) -> Steps:
        """Put a till on a version; labels that waited for it are looked at."""
        till = self._shop.till
        for gtins in till.leases.change(terminal, version):
            yield from self._shop.mark_all(till.gtins() if gtins is None else gtins)
