"""What is on hand of each product: sales and returns change it, a count or a delivery sets it. Unknown until then.

Pieces and weighed goods (mg) of one product are counted apart. One fact for each product and basket, not each line.
Not here: what was sold (`basket.py`), when it is asked (`stock_book.py`), what lies on which shelf (weight shelves and
labels know).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from gateway.messages import SaleLine, StockChanged
from gateway.sale_notes import StockCounted, Unit


class Stock:
    """On hand by product and unit; what is not in it was never counted."""

    def __init__(self, on_hand: Mapping[tuple[str, Unit], int]) -> None:
        self._on_hand = dict(on_hand)

    def sold(self, lines: Iterable[SaleLine], at: datetime, stem: str) -> list[StockChanged]:
        """Take what one basket sold or took back off the stock. `stem` begins the facts' ids."""
        change: dict[tuple[str, Unit], int] = {}
        cause, source = None, ""
        for line in lines:
            if line.gtin is not None:
                cause, source = line.cause, line.source
                key = line.gtin, _unit(line)
                change[key] = change.get(key, 0) - _amount(line)
        return [
            StockChanged(
                at=at,
                source=source,
                id=f"{stem}:{gtin}:{unit}",
                cause=cause,
                gtin=gtin,
                change=amount,
                on_hand=self._add(gtin, unit, amount),
                unit=unit,
                reason="sale" if amount < 0 else "return",
            )
            for (gtin, unit), amount in change.items()
            if amount
        ]

    def counted(self, count: StockCounted) -> StockChanged:
        """Take a count, or goods that came. The first delivery of a product that nobody counted is all there is."""
        key = count.gtin, count.unit
        before = self._on_hand.get(key, 0)
        now = self._on_hand[key] = count.amount if count.reason == "count" else before + count.amount
        return StockChanged(
            at=count.at,
            source=count.source,
            gtin=count.gtin,
            change=now - before,
            on_hand=now,
            unit=count.unit,
            reason=count.reason,
        )

    def on_hand(self, gtin: str, unit: Unit = "piece") -> int | None:
        """Return what is on hand, None when nobody has counted."""
        return self._on_hand.get((gtin, unit))

    def _add(self, gtin: str, unit: Unit, amount: int) -> int | None:
        if (gtin, unit) in self._on_hand:
            self._on_hand[gtin, unit] += amount
        return self._on_hand.get((gtin, unit))


def pieces_of(line: SaleLine) -> int:
    """Return how many pieces a line sold, negative of a return; a part of one (a POSLog may say 0.5) counts as one."""
    pieces = -(-abs(line.quantity_thousandths) // 1000)
    return pieces if line.quantity_thousandths >= 0 else -pieces


def _unit(line: SaleLine) -> Unit:
    return "piece" if line.weight_mg is None else "mg"


def _amount(line: SaleLine) -> int:
    return pieces_of(line) if line.weight_mg is None else line.weight_mg
