"""What the tills charge, by the safe switch. Pure. The rule itself is `switch.py`, what labels may show `shelf.py`.

Each change has a version, by which tills that sell from a cache say what they have heard (`leases.py`).
"""

from datetime import datetime
from typing import Literal

from gateway import messages as m
from gateway.notes import Kept, KeptCharge, Superseded
from gateway.prices import switch
from gateway.prices.leases import Leases

Reason = Literal["fall", "proven", "forced", "unbound"]


class Till:
    """The price of each product at the tills, and what those with a cache may still charge."""

    def __init__(self, currency: str, kept: Kept) -> None:
        self._currency, self._charges = currency, dict(kept.charges)
        self.leases = Leases(kept.leases, kept.superseded, kept.version)
        self.version = max([kept.version, *(charge.version for charge in self._charges.values())])

    def charge(self, gtin: str) -> int | None:
        """Return what the tills charge now."""
        charge = self._charges.get(gtin)
        return None if charge is None else charge.price_minor

    def highest(self, gtin: str) -> int | None:
        """Return the highest price that any till may charge now."""
        return switch.highest_charged(self.charge(gtin), [self.leases.till(gtin)])

    def gtins(self) -> list[str]:
        """Return every product that has or had a price."""
        return list(self._charges)

    def follow(
        self, gtin: str, wanted: tuple[int, str] | None, lowest: int | None, at: datetime, *, labelled: bool
    ) -> list[m.Message]:
        """Charge what is allowed now: `wanted` is (price, wave), `lowest` what a label may show. [] = no change."""
        before = self._charges.get(gtin)
        now = None if before is None else before.price_minor
        if wanted is None:
            return [] if now is None else self._set(gtin, None, None, "fall", at)
        price, wave = wanted
        if before is not None and before.forced and (now, before.wave) == wanted:
            return []  # a person's order holds for the very price and wave that it was given for, and no other
        allowed = switch.charge_for(price, lowest)
        if allowed == now:
            return []
        falls = now is not None and allowed < now
        return self._set(gtin, allowed, wave, "fall" if falls else "proven" if labelled else "unbound", at)

    def force(self, gtin: str, price: int, wave: str, at: datetime) -> list[m.Message]:
        """Charge the wanted price by a person's order, whatever labels show."""
        return [] if self.charge(gtin) == price else self._set(gtin, price, wave, "forced", at)

    def _set(self, gtin: str, price: int | None, wave: str | None, reason: Reason, at: datetime) -> list[m.Message]:
        self.version += 1
        before = self._charges.get(gtin)
        if before is not None:
            self.leases.supersede(Superseded(self.version, gtin, before.price_minor))
        self._charges[gtin] = KeptCharge(price, wave, reason == "forced", self.version)
        currency = None if price is None else self._currency
        return [
            m.PriceCharged(
                at=at,
                source=m.GATEWAY,
                cause=wave,
                gtin=gtin,
                price_minor=price,
                currency=currency,
                wave=wave,
                reason=reason,
                version=self.version,
            )
        ]
