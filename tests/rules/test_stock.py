"""Stock by product: unknown until counted, one change for each product and basket, pieces and mg apart."""

import sqlite3
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlite_utils import Database

from gateway import messages as m
from gateway.count_notes import CountClosed, Counted, StockBase
from gateway.rules.stock import Stock
from gateway.rules.stock_book import StockBook
from gateway.sale_notes import StockCounted
from gateway.store.apply_counts import CountTables, load
from tests.rules.sales_kit import APPLE, AT, BREAD, Shop, Till, of

LATER = AT + timedelta(minutes=1)


def line(gtin: str | None, thousandths: int, weight_mg: int | None = None, at: datetime = LATER) -> m.SaleLine:
    fields: dict[str, Any] = dict.fromkeys(("price_version", "shelf", "wave"))
    return m.SaleLine(
        **fields,
        at=at,
        source="sco",
        terminal="sco-1",
        basket="B1",
        line=1,
        gtin=gtin,
        quantity_thousandths=thousandths,
        weight_mg=weight_mg,
        unit_price_minor=100,
        amount_minor=100,
        discount_minor=0,
        currency="EUR",
        pending=False,
    )


def basket() -> m.SaleBasket:
    return m.SaleBasket(
        at=AT,
        source="sco",
        id="sco-1:B1:9:basket",
        terminal="sco-1",
        basket="B1",
        outcome="paid",
        opened_at=None,
        closed_at=AT,
        lines=1,
        voided=0,
        amount_minor=100,
        currency="EUR",
        tenders=(),
    )


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        ([line(APPLE, 2000), line(APPLE, 1000), line(BREAD, 1000)], [(APPLE, -3, 7), (BREAD, -1, None)]),
        ([line(APPLE, -2000)], [(APPLE, 2, 12)]),
        ([line(APPLE, 1000), line(APPLE, -1000)], []),
        ([line(None, 1000)], []),
        ([line(APPLE, 500)], [(APPLE, -1, 9)]),
        ([line(BREAD, 1000, 350_000)], [(BREAD, -350_000, 650_000)]),
        ([line(BREAD, -1000, -350_000)], [(BREAD, 350_000, 1_350_000)]),
    ],
    ids=["two products", "return", "nothing in the end", "no product", "half", "weighed", "weighed return"],
)
def test_a_basket_changes_the_stock(lines: list[m.SaleLine], changes: list[tuple[str, int, int | None]]) -> None:
    stock = Stock({(APPLE, "piece"): 10, (BREAD, "mg"): 1_000_000})
    told = stock.sold(lines, AT, "stem")
    assert [(one.gtin, one.change, one.on_hand) for one in told] == changes
    assert [one.reason for one in told] == ["sale" if change < 0 else "return" for _, change, _ in changes]


def test_a_count_sets_and_a_delivery_adds() -> None:
    stock, common = Stock({}), {"at": AT, "source": "handheld", "gtin": APPLE}
    first = stock.counted(StockCounted(**common, amount=24, reason="received"))
    assert (first.change, first.on_hand, first.reason) == (24, 24, "received")
    second = stock.counted(StockCounted(**common, amount=20))
    assert (second.change, second.on_hand, second.reason) == (-4, 20, "count")
    assert (stock.on_hand(APPLE), stock.on_hand(APPLE, "mg")) == (20, None)


def test_the_stock_survives_a_restart() -> None:
    shop, till = Shop(), Till()
    shop.feed(StockCounted(at=AT, source="handheld", gtin=APPLE, amount=5))
    shop.feed(till.say("item.added", quantity=2), till.say("payment.succeeded", amount_minor=500))
    shop.restart()
    assert shop.stock.on_hand(APPLE) == 3
    shop.feed(till.say("item.added", "B2"), till.say("payment.succeeded", "B2", amount_minor=250))
    assert [one.on_hand for one in of(shop.all, m.StockChanged)] == [5, 3, 2]


def closed(session: str, *counted: tuple[str, int, float]) -> CountClosed:
    rows = tuple(Counted(*one) for one in counted)
    common = {"session": session, "ended": "command", "coverage": 0.99, "items": (), "rows": ()}
    return CountClosed(at=AT, source=m.GATEWAY, counted=rows, **common)


def test_the_second_count_of_the_shop_tells_what_is_gone_besides_what_was_sold() -> None:
    stock = StockBook({}, [])
    stock.feed(closed("one", (APPLE, 10, 1.0), (BREAD, 5, 1.0)))
    stock.feed(line(APPLE, 2000))
    stock.feed(line(BREAD, -1000))
    stock.feed(basket())
    goods = m.GoodsReceived(at=AT, source="r1", gtin=APPLE, epcs=("AA" * 12, "BB" * 12, "CC" * 12), zone="dock")
    stock.feed(goods)
    assert (stock.on_hand(APPLE), stock.on_hand(BREAD)) == (11, 6)
    out = stock.feed(closed("two", (APPLE, 9, 0.8), (BREAD, 6, 1.0)))
    (gone,) = of(out, m.ShrinkageFound)
    assert (gone.before, gone.received, gone.sold, gone.counted, gone.gone, gone.confidence) == (10, 3, 2, 9, 2, 0.8)
    assert [(one.gtin, one.change, one.reason) for one in of(out, m.StockChanged)] == [(APPLE, -2, "count")]
    assert of(stock.feed(closed("three", (APPLE, 9, 1.0), (BREAD, 6, 1.0))), m.ShrinkageFound) == []


def test_what_a_count_found_and_what_came_since_survives_a_restart() -> None:
    db = sqlite3.connect(":memory:")
    CountTables.migrations.apply(Database(db))
    stock = StockBook({}, [])
    for message in (closed("one", (APPLE, 10, 1.0)), line(APPLE, 1000), basket()):
        CountTables().apply(db, [note for note in stock.feed(message) if isinstance(note, StockBase)])
    again = StockBook({(APPLE, "piece"): 9}, load(db).bases)
    (gone,) = of(again.feed(closed("two", (APPLE, 8, 1.0))), m.ShrinkageFound)
    assert (gone.before, gone.sold, gone.gone) == (10, 1, 1)


def test_more_than_there_should_be_is_no_shrinkage() -> None:
    stock = StockBook({}, [])
    stock.feed(closed("one", (APPLE, 10, 1.0)))
    out = stock.feed(closed("two", (APPLE, 12, 1.0)))
    assert of(out, m.ShrinkageFound) == []
    assert [one.change for one in of(out, m.StockChanged)] == [2]


def test_a_count_that_says_nothing_of_the_whole_shop_changes_no_stock() -> None:
    stock = StockBook({(APPLE, "piece"): 3}, [])
    assert list(stock.feed(closed("one").model_copy(update={"counted": None}))) == []
    assert stock.on_hand(APPLE) == 3


def test_what_a_till_that_was_cut_off_sold_before_the_count_is_in_the_count_already() -> None:
    stock = StockBook({(APPLE, "piece"): 100}, [])
    stock.feed(closed("one", (APPLE, 90, 1.0)))
    stock.feed(line(APPLE, 10_000, at=AT - timedelta(hours=1)))
    stock.feed(basket())
    assert stock.on_hand(APPLE) == 90
    (gone,) = of(stock.feed(closed("two", (APPLE, 80, 1.0))), m.ShrinkageFound)
    assert (gone.sold, gone.gone) == (0, 10)


def test_a_product_of_which_nothing_is_left_is_gone() -> None:
    stock = StockBook({}, [])
    stock.feed(closed("one", (APPLE, 5, 1.0), (BREAD, 5, 1.0)))
    (gone,) = of(stock.feed(closed("two", (BREAD, 5, 1.0))), m.ShrinkageFound)
    assert (gone.gtin, gone.counted, gone.gone) == (APPLE, 0, 5)
    assert stock.on_hand(APPLE) == 0


def test_the_stock_of_a_large_shop_is_set_in_small_steps() -> None:
    stock = StockBook({}, [])
    many = closed("one", *((f"{n:014d}", n, 1.0) for n in range(1000)))
    steps = list(stock.steps(many))
    assert len(steps) == 50
    assert sum(map(len, steps)) == 2000
