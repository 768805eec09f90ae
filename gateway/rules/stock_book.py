"""The rule of stock: what sales, deliveries and counts make of the stock on hand, and what is gone besides.

It stands after the rules that sell, receive and count, and follows what they say. A count of the whole shop sets what
is on hand of each product that it knows; the next one tells what is gone beyond what was sold since: shrinkage.
Not here: the arithmetic of a basket (`stock.py`), counts (`counts.py`), which item is where (`items.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway.count_notes import CountClosed, Counted, StockBase
from gateway.messages import GATEWAY, GoodsReceived, Message, SaleBasket, SaleLine, ShrinkageFound, StockChanged
from gateway.rules.count_result import gone_when_unheard
from gateway.rules.stock import Stock, pieces_of
from gateway.sale_notes import StockCounted, Unit

PRODUCTS_A_STEP = 20


class StockBook:
    """The rule. `bases`: by product, what the last count of the whole shop found, and what came and went since."""

    hears: tuple[type[Message], ...] = (StockCounted,)
    follows: tuple[type[Message], ...] = (SaleLine, SaleBasket, GoodsReceived, CountClosed)

    def __init__(self, on_hand: Mapping[tuple[str, Unit], int], bases: Iterable[StockBase]) -> None:
        self.load(on_hand, bases)

    def load(self, on_hand: Mapping[tuple[str, Unit], int], bases: Iterable[StockBase]) -> None:
        """Forget everything, and go on from what the store has."""
        self._stock = Stock(on_hand)
        self._bases = {base.gtin: base for base in bases}
        self._lines: list[SaleLine] = []  # of the basket that is being told

    def on_hand(self, gtin: str, unit: Unit = "piece") -> int | None:
        """Return what is on hand, None when nobody has counted."""
        return self._stock.on_hand(gtin, unit)

    def feed(self, message: Message) -> Sequence[Message]:
        """Return the facts and notes that follow."""
        if isinstance(message, SaleLine):
            self._lines.append(message)  # its basket comes next
            return ()
        if isinstance(message, SaleBasket):
            return self._sold(message)
        if isinstance(message, GoodsReceived):
            return self._received(message)
        if isinstance(message, CountClosed):
            return [one for step in self.steps(message) for one in step]
        return [self._stock.counted(message)] if isinstance(message, StockCounted) else ()

    def steps(self, message: Message) -> Iterator[Sequence[Message]]:
        """Yield what follows a little at a time: a count may set the stock of thousands of products."""
        if not isinstance(message, CountClosed):
            yield self.feed(message)
            return
        counted = self._all_counted(message)
        for start in range(0, len(counted), PRODUCTS_A_STEP):
            some = counted[start : start + PRODUCTS_A_STEP]
            yield [one for product in some for one in self._counted(message, product)]

    def _all_counted(self, closed: CountClosed) -> list[Counted]:
        """Return what a count of the whole shop says, also of products of which nothing is left."""
        if closed.counted is None:
            return []
        named = {one.gtin for one in closed.counted}
        sure = round(gone_when_unheard(closed.coverage), 3)
        return [*closed.counted, *(Counted(gtin, 0, sure) for gtin in self._bases if gtin not in named)]

    def _sold(self, basket: SaleBasket) -> list[Message]:
        lines, self._lines = [line for line in self._lines if not self._is_counted(line)], []
        stem = f"{(basket.id or '').removesuffix('basket')}stock"
        out: list[Message] = [*self._stock.sold(lines, basket.at, stem)]
        for gtin in dict.fromkeys(line.gtin for line in lines if line.gtin in self._bases and line.weight_mg is None):
            base = self._bases[gtin]
            sold = sum(pieces_of(line) for line in lines if line.gtin == gtin and line.weight_mg is None)
            out.append(self._keep(base.model_copy(update={"sold": base.sold + sold})))
        return out

    def _is_counted(self, line: SaleLine) -> bool:
        """Tell whether a line of a till that was cut off was sold before the last count: that has seen it missing."""
        base = self._bases.get(line.gtin or "")
        return base is not None and line.weight_mg is None and line.at <= base.at

    def _received(self, goods: GoodsReceived) -> list[Message]:
        if goods.gtin is None:
            return []
        came = StockCounted(
            at=goods.at, source=goods.source, gtin=goods.gtin, amount=len(goods.epcs), reason="received"
        )
        out: list[Message] = [self._stock.counted(came)]
        if (base := self._bases.get(goods.gtin)) is not None:
            received = base.received + len(goods.epcs)
            out.append(self._keep(base.model_copy(update={"received": received})))
        return out

    def _counted(self, closed: CountClosed, counted: Counted) -> list[Message]:
        gtin, amount, confidence = counted
        out: list[Message] = []
        base = self._bases.get(gtin)
        if base is not None and (gone := base.before + base.received - base.sold - amount) > 0:
            out.append(
                ShrinkageFound(
                    at=closed.at,
                    source=GATEWAY,
                    id=f"{closed.session}:shrinkage:{gtin}",
                    session=closed.session,
                    gtin=gtin,
                    before=base.before,
                    received=base.received,
                    sold=base.sold,
                    counted=amount,
                    gone=gone,
                    confidence=confidence,
                )
            )
        changed = self._stock.counted(StockCounted(at=closed.at, source=GATEWAY, gtin=gtin, amount=amount))
        if changed.change or base is None:
            out.append(self._named(changed, closed))
        fresh = StockBase(at=closed.at, source=GATEWAY, gtin=gtin, before=amount, received=0, sold=0)
        return [*out, self._keep(fresh)]

    @staticmethod
    def _named(changed: StockChanged, closed: CountClosed) -> StockChanged:
        return changed.model_copy(update={"id": f"{closed.session}:stock:{changed.gtin}"})

    def _keep(self, base: StockBase) -> StockBase:
        self._bases[base.gtin] = base
        return base
