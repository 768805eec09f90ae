"""Labels of the shop: products, bindings, what each glass may show and should show. Pure state, no decisions on prices.

Which price is in force is asked through `in_force`; what the tills make of the glasses is `till.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway import messages as m
from gateway.notes import Kept
from gateway.prices import switch
from gateway.prices.face_content import Content
from gateway.prices.glass import Entry, Glass

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

    def update_products(self, update: m.ProductsUpdate) -> tuple[int, list[str]]:
        """Take master data. Return how many items were taken, and the products that changed. Older items stay out."""
        floor = self._full.get("products", -1)
        fresh = [p for p in update.products if update.sequence >= max(floor, self._products.get(p.gtin, (-1,))[0])]
        changed = [p.gtin for p in fresh if self.product(p.gtin) != p]
        if update.full and update.sequence >= floor:
            self._full["products"] = update.sequence
            named = {p.gtin for p in update.products}
            for gtin, (sequence, _) in list(self._products.items()):
                if gtin not in named and sequence < update.sequence:
                    del self._products[gtin]
                    changed.append(gtin)
        for product in fresh:
            self._products[product.gtin] = (update.sequence, product)
        for gtin in changed:
            self.forget_content(gtin)
        return len(fresh), changed

    def update_bindings(self, update: m.BindingsUpdate) -> list[tuple[m.Binding, bool]]:
        """Return the bindings to take (older ones stay out), each with whether it changes anything."""
        floor = self._full.get("bindings", -1)
        wanted = {binding.label: binding for binding in update.bindings}
        if update.full and update.sequence >= floor:
            self._full["bindings"] = update.sequence
            for label, (sequence, gtin, _) in self._bound.items():
                if label not in wanted and sequence < update.sequence and gtin is not None:
                    wanted[label] = m.Binding(label=label, gtin=None)
        taken = []
        for binding in wanted.values():
            before = self._bound.get(binding.label, (-1, None, None))
            if update.sequence >= max(floor, before[0]):
                new = binding.label not in self._bound or before[1:] != (binding.gtin, binding.facing)
                self._bound[binding.label] = (update.sequence, binding.gtin, binding.facing)
                taken.append((binding, new))
        return taken

    def bind(self, label: str, gtin: str | None, facing: str | None) -> None:
        """Let a label stand for a product."""
        glass = self.glass(label)
        if glass.gtin is not None:
            self._labels_of[glass.gtin].discard(label)
        glass.gtin, glass.facing, glass.bound_once = gtin, facing, True
        if gtin is not None:
            self._labels_of.setdefault(gtin, set()).add(label)
