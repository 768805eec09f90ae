"""All rules of a gateway, made of the configuration and of what the store kept, in the order in which they hear.

A rule hears what the rules before it say, if it asks for it (`follows`): a count before sales, both before the items
that were sold, all of them before the stock. Not here: what drives the world by them (`app.py`).
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from gateway import notes
from gateway.codes.epc import gtin_of
from gateway.config import Config
from gateway.core import Rule
from gateway.count_notes import KeptCounts
from gateway.prices.pricing import Policy as PricePolicy
from gateway.prices.pricing import Pricing
from gateway.rules.count_view import CountView
from gateway.rules.counts import CountPolicy, Counts
from gateway.rules.items import Items
from gateway.rules.items import Policy as ItemPolicy
from gateway.rules.sales import Policy as SalesPolicy
from gateway.rules.sales import Sales
from gateway.rules.stock_book import StockBook
from gateway.rules.zones import Zones
from gateway.sale_notes import KeptSales
from gateway.store import apply_counts, apply_items, apply_prices, apply_sales
from gateway.tag_notes import KeptItems


class KeptState(NamedTuple):
    """What the store gives back at start."""

    prices: notes.Kept
    sales: KeptSales
    items: KeptItems
    counts: KeptCounts


def load_state(connection: sqlite3.Connection, now: datetime) -> KeptState:
    """Read everything that the rules need at start; takes its time."""
    return KeptState(
        apply_prices.load(connection, now),
        apply_sales.load(connection),
        apply_items.load(connection),
        apply_counts.load(connection),
    )


class Rulebook:
    """The rules; each is the one owner of its state."""

    def __init__(self, config: Config, zones: Zones, kept: KeptState, wake: Callable[[], None]) -> None:
        self.pricing = Pricing(_prices(config), kept.prices, wake)
        self.sales = Sales(SalesPolicy(), kept.sales)
        self.items = Items(_items(config), zones, kept.items, gtin_of)
        policy = CountPolicy(config.rfid.count_limit_min * 60, config.counts, config.store.zone)
        self.counts = Counts(policy, zones, CountView(self.items), gtin_of, kept.counts)
        self.stock = StockBook(kept.sales.stock, kept.counts.bases)

    def in_order(self, *after: Rule) -> tuple[Rule, ...]:
        """Return all rules as the core hears them, and these after."""
        return self.pricing, self.counts, self.sales, self.items, self.stock, *after

    def load(self, kept: KeptState) -> None:
        """Forget everything, and go on from what the store has."""
        kept.prices.now = self.pricing.schedule.now  # what has begun does not go back
        self.pricing.load(kept.prices)
        self.sales.load(kept.sales)
        self.items.load(kept.items)
        self.counts.load(kept.counts)
        self.stock.load(kept.sales.stock, kept.counts.bases)


def _prices(config: Config) -> PricePolicy:
    return PricePolicy(
        currency=config.store.currency,
        timezone=config.store.zone,
        languages=config.store.languages,
        absurd_change_percent=config.prices.absurd_change_percent,
        converge_alarm_s=config.prices.converge_alarm_min * 60,
    )


def _items(config: Config) -> ItemPolicy:
    rfid = config.rfid
    return ItemPolicy(
        absent_after_s=rfid.absent_after_s,
        absent_within_s=rfid.absent_within_min * 60,
        exit_grace_s=rfid.exit_grace_s,
        sold_for_s=rfid.sold_for_min * 60,
        settle_s=rfid.settle_s,
    )
