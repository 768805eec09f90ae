"""Stock by product: unknown until counted, one change for each product and basket, pieces and mg apart."""

from typing import Any

import pytest

from gateway import messages as m
from gateway.rules.stock import Stock
from gateway.sale_notes import StockCounted
from tests.rules.sales_kit import APPLE, AT, BREAD, Shop, Till, of


def line(gtin: str | None, thousandths: int, weight_mg: int | None = None) -> m.SaleLine:
    fields: dict[str, Any] = dict.fromkeys(("price_version", "shelf", "wave"))
    return m.SaleLine(
        **fields,
        at=AT,
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
    assert shop.rule.on_hand(APPLE) == 3
    shop.feed(till.say("item.added", "B2"), till.say("payment.succeeded", "B2", amount_minor=250))
    assert [one.on_hand for one in of(shop.all, m.StockChanged)] == [5, 3, 2]
