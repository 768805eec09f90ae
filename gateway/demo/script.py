"""What head office does in the demo: a catalogue, bindings, then waves of every kind. Pure: it only makes orders.

The scenes take turns: a rise, a fall with a promotion, a wave with two bad lines, a wave for later that is taken back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from gateway.hq import orders
from gateway.hq.tables import gtin14
from gateway.messages import Binding, PriceLine, Product

CURRENCY = "CNY"
ISSUER = "hq/demo"
GOODS = (
    ("苹果汁", "Apple juice", "1 L"),
    ("全脂牛奶", "Whole milk", "950 mL"),
    ("茉莉花茶", "Jasmine tea", "100 g"),
    ("东北大米", "Northeast rice", "5 kg"),
    ("酱油", "Soy sauce", "500 mL"),
    ("方便面", "Instant noodles", "5 x 120 g"),
    ("矿泉水", "Mineral water", "1.5 L"),
    ("黑巧克力", "Dark chocolate", "100 g"),
    ("花生油", "Peanut oil", "1.8 L"),
    ("洗衣液", "Laundry detergent", "2 kg"),
)


@dataclass(frozen=True)
class Scene:
    """One order of head office: the bodies for `down/prices` and what should come of them."""

    wave: str
    title: str
    bodies: list[bytes]
    prices: dict[str, int] = field(default_factory=dict)
    bad_lines: int = 0
    cancels: str | None = None
    must_converge: bool = True


class Script:
    """Head office's own idea of the shop; `prices` is what every label should show in the end."""

    def __init__(self, labels: Sequence[str], seed: int = 7) -> None:
        self._random = Random(seed)  # noqa: S311 - a play, no secret
        self.labels = sorted(labels)
        self.products = list(_catalogue(max(1, len(self.labels) * 9 // 10)))
        self.prices: dict[str, int] = {}
        self._sequence = 0
        self._number = 0
        self._later = ""

    def bindings(self) -> list[Binding]:
        """Return which label stands for what; every tenth product has two labels."""
        return [
            Binding(label=label, gtin=self._gtin(number), facing=f"A{1 + number // 50}-{1 + number % 50}")
            for number, label in enumerate(self.labels)
        ]

    def labels_of(self, gtin: str) -> list[str]:
        """Return the labels of a product."""
        return [binding.label for binding in self.bindings() if binding.gtin == gtin]

    def master(self, now: datetime) -> tuple[list[bytes], list[bytes]]:
        """Return products and bindings as bodies."""
        sequence = self._next_sequence(now)
        return orders.products(self.products, sequence, full=True), orders.bindings(
            self.bindings(), sequence, full=True
        )

    def opening(self, now: datetime) -> Scene:
        """Return the first wave: a price for everything."""
        prices = {product.gtin: self._random.randrange(200, 9900, 10) for product in self.products}
        return self._change("opening prices", prices, now)

    def scenes(self) -> Iterator[str]:
        """Yield the titles of what comes, for ever."""
        while True:
            yield from ("rise", "fall", "later", "cancel", "bad lines")

    def scene(self, title: str, now: datetime) -> Scene:
        """Return the next wave of this kind."""
        match title:
            case "rise":
                return self._change("prices rise", self._moved(1.0, 1.3), now)
            case "fall":
                return self._change("prices fall", self._moved(0.7, 1.0), now, promo="特价")
            case "bad lines":
                return self._change("two bad lines", self._moved(0.8, 1.2), now, bad=True)
            case "later":
                later = self._change("for tomorrow", self._moved(0.5, 0.6), now, wait=timedelta(days=1))
                self._later = later.wave
                return later
            case _:
                return self._cancel(self._later, now)

    def _moved(self, low: float, high: float) -> dict[str, int]:
        chosen = self._random.sample(sorted(self.prices), max(1, len(self.prices) // 8))
        moved = {gtin: max(10, round(self.prices[gtin] * self._random.uniform(low, high))) for gtin in chosen}
        return {gtin: price for gtin, price in moved.items() if price != self.prices[gtin]}

    def _change(
        self,
        title: str,
        prices: dict[str, int],
        now: datetime,
        *,
        promo: str | None = None,
        bad: bool = False,
        wait: timedelta = timedelta(),
    ) -> Scene:
        lines = [self._line(gtin, price, promo) for gtin, price in prices.items()]
        if bad:
            lines += [_line_of("06901234567893", 100), _line_of(gtin14("4006381333931"), 100)]
        head = self._head(title, now, now + wait)
        if not wait:
            self.prices |= prices
        bodies = list(orders.change(head, lines))
        return Scene(head.id, title, bodies, prices, bad_lines=2 if bad else 0, must_converge=not wait)

    def _cancel(self, wave: str, now: datetime) -> Scene:
        head = self._head("cancel", now, now, supersedes=wave)
        return Scene(head.id, "taken back", [orders.cancel(head)], cancels=wave, must_converge=False)

    def _line(self, gtin: str, price: int, promo: str | None) -> PriceLine:
        was = self.prices[gtin] if promo and price < self.prices[gtin] else None
        return PriceLine(gtin=gtin, price_minor=price, currency=CURRENCY, was_minor=was, promo=promo if was else None)

    def _head(self, title: str, now: datetime, at: datetime, supersedes: str | None = None) -> orders.WaveHead:
        self._number += 1
        name = f"w{self._number:02d}-{title.replace(' ', '-')}"
        return orders.WaveHead(name, ISSUER, now, self._next_sequence(now), at, supersedes=supersedes)

    def _next_sequence(self, now: datetime) -> int:
        self._sequence = max(self._sequence + 1, orders.new_sequence(now))
        return self._sequence

    def _gtin(self, number: int) -> str:
        return self.products[number % len(self.products)].gtin


def _catalogue(count: int) -> Iterator[Product]:
    for number in range(count):
        chinese, english, content = GOODS[number % len(GOODS)]
        kind = number // len(GOODS) + 1
        yield Product(
            gtin=_gtin_of(f"069012345{number:04d}"),
            name={"zh-Hans": f"{chinese} {kind}号", "en": f"{english} No. {kind}"},
            sku=f"A-{number:04d}",
            net_content=content,
        )


def _gtin_of(first_13: str) -> str:
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(first_13))
    return f"{first_13}{-total % 10}"


def _line_of(gtin: str, price: int) -> PriceLine:
    return PriceLine(gtin=gtin, price_minor=price, currency=CURRENCY)
