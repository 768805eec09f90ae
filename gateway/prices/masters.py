"""Master data: products, places and which label stands for what, as head office sends them. Pure.

What is taken and what is too old is `shelf.py`'s; products whose data changed are turned again (`turning.py`).
"""

from collections import deque
from typing import Literal

from gateway import messages as m
from gateway import notes
from gateway.prices.schedule import Turn
from gateway.prices.shop import Shop
from gateway.prices.turning import Turning
from gateway.prices.work import Steps


class Masters:
    """Handles master data."""

    def __init__(self, shop: Shop, turning: Turning) -> None:
        self._shop, self._turning = shop, turning

    def products(self, update: m.ProductsUpdate) -> Steps:
        """Take products."""
        count, changed = yield from self._shop.shelf.update_products(update)
        self._shop.schedule.turns.append(Turn(deque(changed)))
        yield [_applied(update, "products", count)]
        yield from self._turning.work(update.at)

    def planogram(self, update: m.PlanogramUpdate) -> list[m.Message]:
        """Say that places were taken; only the store keeps them."""
        return [_applied(update, "planogram", len(update.facings))]

    def bindings(self, update: m.BindingsUpdate) -> Steps:
        """Take bindings of labels."""
        count = 0
        for page in self._shop.shelf.update_bindings(update):
            count += len(page)
            yield [message for binding, new in page for message in self._bind(binding, update, new=new)]
        yield [_applied(update, "bindings", count)]

    def _bind(self, binding: m.Binding, update: m.BindingsUpdate, *, new: bool) -> list[m.Message]:
        kept = notes.BindingKept(
            at=update.at,
            source=update.source,
            label=binding.label,
            gtin=binding.gtin,
            facing=binding.facing,
            sequence=update.sequence,
        )
        return [kept, *self._rebind(binding, update)] if new else [kept]

    def _rebind(self, binding: m.Binding, update: m.BindingsUpdate) -> list[m.Message]:
        self._shop.shelf.bind(binding.label, binding.gtin, binding.facing)
        wanted = self._shop.wanted.get(binding.gtin or "")
        left = self._shop.look_at(binding.label, None if wanted is None else wanted[1], update.at)
        fact = m.LabelBound(
            at=update.at, source=update.source, label=binding.label, gtin=binding.gtin, facing=binding.facing
        )
        return [fact, *left]


def _applied(
    update: m.ProductsUpdate | m.BindingsUpdate | m.PlanogramUpdate,
    kind: Literal["products", "bindings", "planogram"],
    count: int,
) -> m.Fact:
    return m.MasterApplied(at=update.at, source=update.source, kind=kind, sequence=update.sequence, count=count)
