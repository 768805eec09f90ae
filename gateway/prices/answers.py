"""What a till is told when it asks for a price: the board's price, and what the shop knows of the product. Pure.

The price is the committed one (`board.py`), which the safe switch allowed; the rest (name, labels, wave) is for people
and comes from the live rule. Amounts of weighed goods are rounded half up to the minor unit, as is usual in trade.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, overload

from gateway import messages as m
from gateway.codes import CodeTable, Decoded
from gateway.errors import NotForSale, Refused, Rejected
from gateway.prices.board import Charged, PriceBoard
from gateway.prices.pricing import Pricing

MG_PER_KG = 1_000_000
BY_WEIGHT = {"KG", "KGM"}  # units in which a price is for one kilogram; KGM is UN/ECE Recommendation 20


@dataclass(frozen=True, slots=True)
class Upstream:
    """When head office was last heard: seconds ago, None = not since the start; `stale` = that is too long."""

    age_s: int | None
    stale: bool


class Changes(Sequence[m.PriceChange]):
    """Price changes that are made when they are looked at: all 30 000 of a shop at once take a third of a second."""

    def __init__(self, found: Sequence[tuple[str, Charged]], make: Callable[[str, Charged], m.PriceChange]) -> None:
        self._found, self._make = found, make

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)

    @overload
    def __getitem__(self, at: int) -> m.PriceChange: ...

    @overload
    def __getitem__(self, at: slice) -> list[m.PriceChange]: ...

    def __getitem__(self, at: int | slice) -> m.PriceChange | list[m.PriceChange]:
        """Return one of them, or a page as a list."""
        if isinstance(at, slice):
            return [self._make(*one) for one in self._found[at]]
        return self._make(*self._found[at])


class PriceAnswers:
    """Answers from memory. `expect` tells what a piece weighs, `upstream` when head office was heard."""

    def __init__(
        self,
        pricing: Pricing,
        board: PriceBoard,
        codes: CodeTable,
        expect: Callable[[str], m.ExpectedWeight | None],
        upstream: Callable[[], Upstream],
    ) -> None:
        self._pricing, self._board, self._codes = pricing, board, codes
        self._expect, self._upstream = expect, upstream

    @property
    def version(self) -> int:
        """Return the newest price version on disk."""
        return self._board.version

    def look_up(self, scan: str, symbology: str | None = None) -> m.PriceAnswer:
        """Return the price of a scanned code. Raises Refused when it cannot be read, NotForSale with the reason."""
        try:
            code = self._codes.decode(scan, symbology)
        except Rejected as error:
            raise Refused(str(error)) from None
        product, charged = self._pricing.shelf.product(code.gtin), self._board.charged(code.gtin)
        if product is None:
            raise NotForSale(f"{code.gtin} is no product of this shop")
        if charged is None or charged.price_minor is None:
            raise NotForSale(f"{code.gtin} has no price in force")
        return self._answer(code, product, charged, charged.price_minor)

    def changes(self, since: int) -> "Changes":
        """Return the newest price of every product that changed after a version, all of one instant."""
        return Changes(self._board.changes(since), self._change)

    def _answer(self, code: Decoded, product: m.Product, charged: Charged, price_minor: int) -> m.PriceAnswer:
        pricing, upstream = self._pricing, self._upstream()
        booked = pricing.schedule.book.waves.get(charged.wave or "")
        labels = _labels(code.gtin, pricing)
        return m.PriceAnswer(
            gtin=code.gtin,
            name=pricing.shelf.name(product),
            price_minor=price_minor,
            currency=pricing.currency,
            unit=product.unit,
            amount_minor=_amount(code, price_minor, product.unit),
            weight_mg=code.weight_mg,
            price_version=charged.version,
            wave=charged.wave,
            valid_from=None if booked is None else booked.wave.effective_at,
            valid_to=None if booked is None else booked.wave.expires_at,
            label_pending=labels == "pending" or pricing.wanted(code.gtin) != price_minor,
            labels=labels,
            restrictions=m.Restrictions(minimum_age=product.minimum_age, recalled=product.recalled),
            expected_weight=self._expect(code.gtin),
            stale=upstream.stale,
            upstream_age_s=upstream.age_s,
        )

    def _change(self, gtin: str, charged: Charged) -> m.PriceChange:
        product = self._pricing.shelf.product(gtin)
        return m.PriceChange(
            version=charged.version,
            gtin=gtin,
            price_minor=charged.price_minor,
            currency=None if charged.price_minor is None else self._pricing.currency,
            name=None if product is None else self._pricing.shelf.name(product),
        )


def _amount(code: Decoded, price_minor: int, unit: str | None) -> int:
    if code.price_minor is not None:
        return code.price_minor
    if code.weight_mg is not None and (unit or "").upper() in BY_WEIGHT:
        return (price_minor * code.weight_mg * 2 + MG_PER_KG) // (2 * MG_PER_KG)
    return price_minor * (code.count or 1)


def _labels(gtin: str, pricing: Pricing) -> Literal["proven", "pending", "none"]:
    labels = pricing.shelf.labels_of(gtin)
    if not labels:
        return "pending" if pricing.shelf.shows(gtin) else "none"
    return "proven" if all(pricing.shelf.proven(label) for label in labels) else "pending"
