"""Labels of the shop: products, bindings, what each glass may show and should show. Pure state, no decisions on prices.

Which price is in force is asked through `in_force`; what the tills make of the glasses is `till.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway import messages as m
from gateway.notes import Kept
from gateway.prices import switch
from gateway.prices.face_content import Content
from gateway.prices.glass import Entry, Glass
from gateway.prices.work import PAUSE, Work, pages

InForce = Callable[[str], tuple[m.PriceLine, str] | None]


@dataclass(frozen=True)
class Wish:
    """What a label should show."""

    label: str
    gtin: str | None
    price_minor: int | None
    currency: str | None
    wave: str | None
    content: Content


class Shelf:
    """All labels. `stale`: those whose wish should be looked at; `in_force` gives the line and wave of a GTIN."""

    def __init__(self, languages: tuple[str, ...], in_force: InForce, kept: Kept) -> None:
        self._languages, self._in_force = languages, in_force
        self._products, self._full = dict(kept.products), dict(kept.full)
        self._bound = dict(kept.bindings)
        self._glass: dict[str, Glass] = {}
        self._labels_of: dict[str, set[str]] = {}
        self._showing: dict[str, set[str]] = {}
        self._contents: dict[str, Content] = {}
        self.seen: set[str] = set()
        for label, (_, gtin, facing) in kept.bindings.items():
            self.bind(label, gtin, facing)
        for row in kept.glasses:
            glass = self.glass(row.label)
            glass.revision, glass.doubted = row.revision, row.doubted
            glass.entries = tuple(Entry(*entry) for entry in row.entries)
            self.index(glass, set())
        self.stale: dict[str, None] = dict.fromkeys(sorted(self._glass))

    def knows(self, label: str) -> bool:
        """Tell whether the label was ever bound or heard of."""
        return label in self._glass

    def glass(self, label: str) -> Glass:
        """Return the glass of a label, blank if it is new."""
        return self._glass.setdefault(label, Glass(label))

    def product(self, gtin: str) -> m.Product | None:
        """Return the master data of a product."""
        kept = self._products.get(gtin)
        return None if kept is None else kept[1]

    def labels_of(self, gtin: str) -> list[str]:
        """Return the labels bound to a product."""
        return sorted(self._labels_of.get(gtin, ()))

    def shows(self, gtin: str) -> bool:
        """Tell whether any glass may show a price of the product."""
        return bool(self._showing.get(gtin))

    def lowest(self, gtin: str) -> int | None:
        """Return the lowest price of the product that any glass may show."""
        showing = self._showing.get(gtin)
        return switch.lowest_shown([self._glass[label].prices(gtin) for label in showing]) if showing else None

    def mark(self, label: str) -> None:
        """Let somebody look at the wish of this label."""
        self.stale[label] = None

    def take_stale(self, limit: int) -> list[str]:
        """Take labels whose wish should be looked at."""
        taken = [label for label, _ in zip(self.stale, range(limit), strict=False)]
        for label in taken:
            del self.stale[label]
        return taken

    def target(self, glass: Glass) -> Wish | None:
        """Return what the glass should show: without a price in force, a spare face if it may show any price."""
        gtin = glass.gtin
        product, found = self.product(gtin or ""), None if gtin is None else self._in_force(gtin)
        if gtin is None or product is None or found is None:
            if not glass.bound_once or not glass.entries:
                return None
            return Wish(glass.label, None, None, None, None, Content(None, "", None, None, label=glass.label))
        line, wave = found
        content = self._contents.get(gtin)
        if content is None:
            content = self._contents[gtin] = self.content(product, line)
        return Wish(glass.label, gtin, line.price_minor, line.currency, wave, content)

    def proven(self, label: str) -> bool:
        """Tell whether the label is proven to show what it should."""
        glass = self.glass(label)
        target = self.target(glass)
        return target is not None and glass.proven(target.content.key)

    def wish(self, label: str, via: str) -> Wish | None:
        """Return what to push to a label through access point `via`, None when there is nothing to do."""
        glass = self._glass.get(label)
        wish = None if glass is None else self.target(glass)
        if glass is None or wish is None:
            return None
        key = wish.content.key
        under_way = any(e.revision == glass.in_flight and e.content == key and e.via == via for e in glass.entries)
        return None if under_way or glass.proven(key) or glass.awaits_others(key, via) else wish

    def content(self, product: m.Product, line: m.PriceLine) -> Content:
        """Return what a face of this product says at this price."""
        return Content(
            gtin=product.gtin,
            name=self.name(product),
            price_minor=line.price_minor,
            currency=line.currency,
            unit_price_minor=line.unit_price_minor,
            unit=line.unit,
            was_minor=line.was_minor,
            promo=line.promo,
            template=line.template,
            net_content=product.net_content,
            sku=product.sku,
        )

    def name(self, product: m.Product) -> str:
        """Return the product's name in the first language of the shop that it has, else in any."""
        name = next((product.name[tag] for tag in self._languages if tag in product.name), None)
        return name or next(iter(product.name.values()))

    def forget_content(self, gtin: str) -> None:
        """Make the face of a product anew: its price or its name changed."""
        self._contents.pop(gtin, None)

    def index(self, glass: Glass, before: set[str]) -> None:
        """Remember which products the glass may show a price of; `before` is what it was."""
        now = glass.gtins()
        for gtin in before - now:
            self._showing[gtin].discard(glass.label)
        for gtin in now - before:
            self._showing.setdefault(gtin, set()).add(glass.label)

    def update_products(self, update: m.ProductsUpdate) -> Work[tuple[int, list[str]]]:
        """Take master data. Return how many items were taken, and the products that changed. Older items stay out."""
        floor, count, changed = self._full.get("products", -1), 0, list[str]()
        for page in pages(update.products):
            for product in page:
                if update.sequence >= max(floor, self._products.get(product.gtin, (-1,))[0]):
                    count += 1
                    if self.product(product.gtin) != product:
                        changed.append(product.gtin)
                    self._products[product.gtin] = (update.sequence, product)
                    self.forget_content(product.gtin)
            yield PAUSE
        if update.full and update.sequence >= floor:
            self._full["products"] = update.sequence
            for gtins in pages(list(self._products)):
                changed += [gtin for gtin in gtins if self._drop_product(gtin, update.sequence)]
                yield PAUSE
        return count, changed

    def _drop_product(self, gtin: str, older_than: int) -> bool:
        if self._products[gtin][0] >= older_than:
            return False
        del self._products[gtin]
        self.forget_content(gtin)
        return True

    def update_bindings(self, update: m.BindingsUpdate) -> Iterator[list[tuple[m.Binding, bool]]]:
        """Yield the bindings to take (older ones stay out), each with whether it changes anything."""
        floor = self._full.get("bindings", -1)
        for page in pages(update.bindings):
            yield [taken for binding in page for taken in self._take_binding(binding, update.sequence, floor)]
        if update.full and update.sequence >= floor:
            self._full["bindings"] = update.sequence
            for labels in pages(list(self._bound)):
                rest = [label for label in labels if self._is_bound_before(label, update.sequence)]
                yield [
                    taken
                    for label in rest
                    for taken in self._take_binding(m.Binding(label=label, gtin=None), update.sequence, floor)
                ]

    def _is_bound_before(self, label: str, sequence: int) -> bool:
        bound_at, gtin, _ = self._bound[label]
        return bound_at < sequence and gtin is not None

    def _take_binding(self, binding: m.Binding, sequence: int, floor: int) -> list[tuple[m.Binding, bool]]:
        before = self._bound.get(binding.label)
        if sequence < max(floor, -1 if before is None else before[0]):
            return []
        self._bound[binding.label] = (sequence, binding.gtin, binding.facing)
        return [(binding, before is None or before[1:] != (binding.gtin, binding.facing))]

    def bind(self, label: str, gtin: str | None, facing: str | None) -> None:
        """Let a label stand for a product."""
        glass = self.glass(label)
        if glass.gtin is not None:
            self._labels_of[glass.gtin].discard(label)
        glass.gtin, glass.facing, glass.bound_once = gtin, facing, True
        if gtin is not None:
            self._labels_of.setdefault(gtin, set()).add(label)
