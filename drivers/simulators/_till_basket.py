"""Prices as a till was told them, the lines of a basket, and what they cost. Pure; money is whole minor units."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Lease = Literal["held", "over", "none"]

MG_PER_KG = 1_000_000


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of a scanned code: for one piece, or for 1 kg when `by_weight`.

    `amount_minor` is of what was scanned: it differs from the unit price when the code itself holds weight or price.
    `asked_at` is before the question, on the gateway's axis. `lease` is that of the cache when it was read.
    """

    gtin: str
    unit_price_minor: int
    amount_minor: int
    currency: str
    version: int | None
    asked_at: datetime
    by_weight: bool = False
    weight_mg: int | None = None
    from_cache: bool = False
    lease: Lease = "none"


@dataclass(slots=True)
class Line:
    """One line. `weight_mg` is of the till's own scale; `quote` the price at the scan, `now` the one charged now."""

    number: int
    scan: str
    quote: Quote
    scanned_at: datetime
    quantity: int = 1
    weight_mg: int | None = None
    returned: bool = False
    voided: bool = False
    now: Quote = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.quote

    @property
    def amount_minor(self) -> int:
        """Return what the line costs now; a return is negative."""
        return self.amount_at(self.now)

    def amount_at(self, quote: Quote) -> int:
        """Return what the line would cost at this price."""
        sign = -1 if self.returned else 1
        if self.weight_mg is not None:
            return sign * weighed_minor(quote.unit_price_minor, self.weight_mg)
        return sign * quote.amount_minor * self.quantity

    def falls_to(self, quote: Quote) -> bool:
        """Tell whether the customer gains by this price; what is given back keeps the price that it has."""
        return not self.returned and self.amount_at(quote) < self.amount_minor


def weighed_minor(price_per_kg_minor: int, weight_mg: int) -> int:
    """Return the price of a weight, half a minor unit up."""
    return (2 * price_per_kg_minor * weight_mg + MG_PER_KG) // (2 * MG_PER_KG)


@dataclass(slots=True)
class Basket:
    """One shopper's basket. `state` goes open -> paying -> paid, or back to open when a payment fails."""

    id: str
    state: Literal["open", "paying", "paid"] = "open"
    lines: list[Line] = field(default_factory=list)
    paid_minor: int = 0
    bag_mg: int = 0

    def open_lines(self) -> list[Line]:
        """Return the lines that count."""
        return [line for line in self.lines if not line.voided]

    @property
    def sum_minor(self) -> int:
        """Return what the basket costs now."""
        return sum(line.amount_minor for line in self.open_lines())

    @property
    def due_minor(self) -> int:
        """Return what is still to be paid."""
        return self.sum_minor - self.paid_minor
