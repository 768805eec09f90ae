"""What head office hears of a basket: its lines, its end, a price that was not the shelf's. Pure values in, facts out.

A fact's id is `<terminal>:<basket>:<number of the event that settled it>:<line, or what it is>`. A terminal cannot
have a colon in its name and never uses a number again, so ids are unique, and the same if the same events are read
again by a gateway that has lost its memory. A line whose number the till used again has `-before` after that number:
what it takes back is told beside the new line of the same number. Not here: when something is sold (`basket.py`).
"""

from datetime import datetime
from typing import Literal, NamedTuple

from gateway.messages import (
    ItemAdded,
    ItemRepriced,
    PriceMismatch,
    ReviewSuggested,
    SaleBasket,
    SaleLine,
    ShelfThen,
    TillEvent,
)
from gateway.rules.basket import Basket, Line, Settled, SoldLine
from gateway.rules.loss import Suggestion


class Where(NamedTuple):
    """The event that something follows from, as its facts name it. `basket` is the one that it was applied to."""

    terminal: str
    basket: str
    seq: int
    event_id: str
    source: str
    at: datetime

    def id(self, what: str | int) -> str:
        """Return the id of a fact."""
        return f"{self.terminal}:{self.basket}:{self.seq}:{what}"


def where(event: TillEvent, basket: str) -> Where:
    """Return where an event stands."""
    return Where(event.terminal, basket, event.seq, event.event_id, event.source, event.at)


def sale(place: Where, basket: Basket, settled: Settled) -> tuple[list[SaleLine], SaleBasket]:
    """Return a line for each that was sold now, and the basket."""
    return [_line(place, sold) for sold in settled.sold], SaleBasket(
        at=place.at,
        source=place.source,
        id=place.id("basket"),
        cause=place.event_id,
        terminal=place.terminal,
        basket=place.basket,
        outcome=settled.outcome,
        opened_at=basket.opened_at,
        closed_at=place.at,
        lines=settled.lines,
        voided=settled.voided,
        amount_minor=settled.amount_minor,
        currency=basket.currency,
        tenders=settled.tenders,
    )


def _line(place: Where, sold: SoldLine) -> SaleLine:
    line, more, replaced = sold
    item = line.item
    return SaleLine(
        at=line.at,
        source=place.source,
        id=place.id(f"{item.line}-before" if replaced else item.line),
        cause=place.event_id,
        terminal=place.terminal,
        basket=place.basket,
        line=item.line,
        kind="return" if (more.thousandths, more.amount_minor) < (0, 0) else "sale",
        gtin=item.gtin,
        item=None if item.gtin is not None else item.scan,
        quantity_thousandths=more.thousandths,
        weight_mg=None if item.weight_mg is None else more.weight_mg,
        unit_price_minor=line.unit_price_minor,
        amount_minor=more.amount_minor,
        discount_minor=more.discount_minor,
        currency=item.currency,
        price_version=line.price_version,
        shelf=line.shelf,
        wave=_wave(line),
        pending=_pending(line),
        epcs=item.epcs,
    )


def _wave(line: Line) -> str | None:
    """Return the wave behind the charged price: that of the tills' price, else of a face that showed it."""
    shelf = line.shelf
    if shelf is None or shelf.charged_minor == line.unit_price_minor:
        return None if shelf is None else shelf.wave
    return next((face.wave for face in shelf.faces if face.price_minor == line.unit_price_minor), None)


def _pending(line: Line) -> bool:
    """Tell whether some label was not proven to show the charged price when the line was scanned."""
    shelf = line.shelf
    if shelf is None or shelf.basis == "unknown":
        return False
    return any(face.state != "proven" or face.price_minor != line.unit_price_minor for face in shelf.faces)


def review(place: Where, suggestion: Suggestion, what: str) -> ReviewSuggested:
    """Return the suggestion to look at a basket."""
    return ReviewSuggested(
        at=place.at,
        source=place.source,
        id=place.id(what),
        cause=place.event_id,
        terminal=place.terminal,
        basket=place.basket,
        score=suggestion.score,
        signals=suggestion.signals,
        advice=suggestion.advice,
    )


def mismatch(event: TillEvent, basket: str, item: ItemAdded, said: ItemAdded | ItemRepriced) -> PriceMismatch | None:
    """Return what is wrong with the price just said, by what the labels showed at that instant."""
    shelf = event.shelf
    if shelf is None or item.gtin is None or shelf.gtin != item.gtin:
        return None
    direction = _direction(shelf, said.unit_price_minor, said.price_version if item.from_cache else None)
    if direction is None:
        return None
    place = where(event, basket)
    return PriceMismatch(
        at=place.at,
        source=place.source,
        id=place.id("price"),
        cause=place.event_id,
        terminal=place.terminal,
        basket=place.basket,
        line=item.line,
        gtin=item.gtin,
        direction=direction,
        charged_minor=said.unit_price_minor,
        shown_minor=shelf.lowest_minor,
        price_version=said.price_version,
        from_cache=item.from_cache,
        shelf=shelf,
    )


def _direction(shelf: ShelfThen, charged_minor: int, cached: int | None) -> Literal["over", "under"] | None:
    """Judge a price. `cached` is the version of the till's own cache; an older one may be cheaper, and rightly so."""
    if shelf.basis == "unknown":
        return None
    lowest, ours = shelf.lowest_minor, shelf.charged_minor
    if lowest is not None and charged_minor > lowest:
        return "over"
    behind = cached is not None and shelf.version is not None and cached < shelf.version
    below = ours is not None and charged_minor < ours and (lowest is None or charged_minor < lowest)
    return "under" if below and not behind else None
