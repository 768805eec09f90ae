"""Tills with a cache: no lease lets one charge more than a label shows, and none holds labels for ever."""

import os
import sqlite3

import pytest
from sqlite_utils import Database

from gateway.messages import PriceCharged
from gateway.prices import leases, switch
from gateway.prices.board import PriceBoard
from gateway.prices.caches import Caches
from gateway.store import apply_prices
from tests.prices import world
from tests.prices.caching_till import CachingTill
from tests.prices.spread import spread
from tests.prices.test_pricing_interleavings import one_step

GTINS = world.GTINS


class Shop(world.World):
    """The abstract shop with two tills that sell from a cache."""

    tills = ()

    def check(self):
        super().check()
        for till in self.tills:
            till.check()

    def kill(self):
        super().kill()
        for till in self.tills:
            till.answers.clear()


def run(seed, steps=90):
    shop = Shop(seed)
    shop.tills = (CachingTill(shop, "sco-1"), CachingTill(shop, "sco-2"))
    for _ in range(steps):
        if shop.random.random() < 0.4:
            shop.random.choice(shop.tills).step(shop.random)
        else:
            one_step(shop)
    last = shop.random.choice(shop.tills)
    for till in shop.tills:  # one dies for ever, the other goes on listening
        if till is last:
            till.over()
    listener = next(till for till in shop.tills if till is not last)
    listener.feed.clear()
    for _ in range(3):
        for move in (listener.fetch, listener.apply, listener.ask):
            move()
        shop.calm()
    for label in shop.names:
        glass = shop.pricing.shelf.glass(label)
        wanted = None if glass.gtin is None else shop.pricing.wanted(glass.gtin)
        if wanted is not None:
            assert shop.glass[label][:2] == (glass.gtin, wanted), (seed, label, shop.trace[-60:])
    return shop


def play(seeds):
    for seed in seeds:
        run(seed)


def test_no_interleaving_lets_a_cache_charge_more_than_a_label_shows():
    spread(play, 400)


@pytest.mark.soak
def test_many_more_interleavings_with_caches():
    spread(play, int(os.environ.get("AISLED_INTERLEAVINGS", "1000000")) // 5)


def test_the_tills_do_sell_from_their_caches():
    granted = sold = 0
    for seed in range(60):
        shop = run(seed)
        granted += sum("True" in line for line in shop.trace if " asks for " in line)
        sold += sum(len(till.cache) for till in shop.tills)
    assert granted > 200
    assert sold > 60


@pytest.mark.parametrize("broken", ["forget_leases", "grant_blindly", "end_early", "feed_in_parts"])
def test_a_broken_lease_is_caught(monkeypatch, broken):
    if broken == "forget_leases":
        monkeypatch.setattr(leases.Leases, "till", lambda *_: switch.CachingTill(None, None, frozenset()))
    elif broken == "grant_blindly":
        monkeypatch.setattr(Caches, "_harmless", _blindly)
    elif broken == "feed_in_parts":
        whole = PriceBoard.changes
        monkeypatch.setattr(PriceBoard, "changes", lambda board, since: whole(board, since)[:1])
    else:
        monkeypatch.setattr(CachingTill, "lapse", lambda _: None)
    with pytest.raises(AssertionError):
        play(range(2_000))


def _blindly(*_):
    yield ()
    return True


def test_prices_given_up_are_remembered_by_their_number_not_by_their_distance(monkeypatch):
    monkeypatch.setattr(apply_prices, "REMEMBERED", 5)
    db = sqlite3.connect(":memory:")
    tables = apply_prices.PriceTables()
    tables.migrations.apply(Database(db))
    charged = [(GTINS[0], 100), (GTINS[0], 80), *((f"{n:014d}", 100) for n in range(20)), ("00000000000001", 90)]
    for version, (gtin, price) in enumerate(charged, 1):
        fact = PriceCharged(
            at=world.START,
            source="gateway",
            gtin=gtin,
            price_minor=price,
            currency="CNY",
            wave="w",
            reason="fall",
            version=version,
        )
        tables.apply(db, [fact])
    kept = apply_prices.load(db, world.START)
    assert [(old.version, old.price_minor) for old in kept.superseded] == [(2, 100), (23, 100)]
    known = leases.Leases({}, kept.superseded)
    assert [old.gtin for old in known.missed(1)] == [GTINS[0], "00000000000001"]
