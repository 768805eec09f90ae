"""A till's own copy of the prices, and its leave to sell from it. Pure; time is the till's own, handed in.

The lease counts from *before* the request that asked for it: however late the answer came, the gateway's count began
later, so the till stops first. A clock that was set does not matter: only time passed counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from drivers.simulators._till_basket import Lease


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the feed; a null price = not for sale."""

    version: int
    gtin: str
    price_minor: int | None
    currency: str | None


class PriceCache:
    """Prices by product up to a version, which survives a restart; the lease does not."""

    def __init__(self) -> None:
        self.version = 0
        self._prices: dict[str, Change] = {}
        self._until_s: float | None = None
        self._had_one = False

    def apply(self, changes: Iterable[Change], version: int) -> None:
        """Take over one whole answer of the feed. An older line never overwrites a newer one."""
        for change in changes:
            known = self._prices.get(change.gtin)
            if known is None or known.version <= change.version:
                self._prices[change.gtin] = change
        self.version = max(self.version, version)

    def clear(self) -> None:
        """Forget all prices and the lease."""
        self.version, self._until_s = 0, None
        self._prices.clear()

    def granted(self, lease_s: float, asked_s: float) -> None:
        """Note the answer to an acknowledgement that was sent after `asked_s`; 0 = no leave, from now on."""
        self._until_s = asked_s + lease_s if lease_s > 0 else None
        self._had_one = self._had_one or lease_s > 0

    def lose_lease(self) -> None:
        """Forget the lease: the till was restarted, and its clock with it."""
        self._until_s = None

    def lease(self, now_s: float) -> Lease:
        """Tell how the lease stands."""
        if self._until_s is not None and now_s < self._until_s:
            return "held"
        return "over" if self._had_one else "none"

    def price(self, gtin: str) -> Change | None:
        """Return what the cache holds, whatever the lease; None = not for sale."""
        found = self._prices.get(gtin)
        return found if found is not None and found.price_minor is not None else None

    def on_sale(self) -> list[str]:
        """Return the products that have a price, in order."""
        return sorted(gtin for gtin in self._prices if self.price(gtin))
