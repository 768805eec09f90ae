"""One basket: how it goes from open to paid, what is sold when, prices against the shelf, and odd orders of events."""

from typing import Any

import pytest

from gateway import messages as m
from gateway.rules import basket
from gateway.rules.open_baskets import LIVING
from tests.rules.sales_kit import APPLE, AT, BREAD, Shop, Till, event, of, shelf

Said = tuple[str, dict[str, Any]]
ADD: Said = ("item.added", {})
ADD_2: Said = ("item.added", {"line": 2, "gtin": BREAD, "unit_price_minor": 100})
PAID: Said = ("payment.succeeded", {"amount_minor": 250})
CLOSED: Said = ("basket.closed", {})


def pay(amount_minor: int, tender: str = "card") -> Said:
    return ("payment.succeeded", {"amount_minor": amount_minor, "tender": tender})


def sold(*said: Said) -> tuple[list[tuple[int, int]], list[tuple[str, int, int]]]:
    """Return (line, amount) of each line sold, and (outcome, lines, amount) of each end that was told."""
    shop, till = Shop(), Till()
    for kind, data in said:
        shop.feed(till.say(kind, **data))
    lines = [(one.line, one.amount_minor) for one in of(shop.all, m.SaleLine)]
    return lines, [(one.outcome, one.lines, one.amount_minor) for one in of(shop.all, m.SaleBasket)]


@pytest.mark.parametrize(
    ("said", "lines", "ends"),
    [
        ([ADD, PAID, CLOSED], [(1, 250)], [("paid", 1, 250)]),
        ([ADD, ADD_2, pay(200), pay(150, "cash"), CLOSED], [(1, 250), (2, 100)], [("paid", 2, 350)]),
        ([ADD, ("payment.started", {"amount_minor": 250}), ("payment.failed", {"reason": "no"}), ADD_2, pay(350)],
         [(1, 250), (2, 100)], [("paid", 2, 350)]),
        ([ADD, ("item.voided", {"line": 1}), CLOSED], [], [("voided", 0, 0)]),
        ([ADD, ADD_2, ("item.voided", {"line": 1}), pay(100)], [(2, 100)], [("paid", 1, 100)]),
        ([ADD, ("item.quantity_changed", {"line": 1, "quantity": 3, "amount_minor": 750}), pay(750)],
         [(1, 750)], [("paid", 1, 750)]),
        ([ADD, ("item.repriced", {"line": 1, "unit_price_minor": 200, "amount_minor": 200}), pay(200)],
         [(1, 200)], [("paid", 1, 200)]),
        ([ADD, ("basket.abandoned", {}), CLOSED], [], [("abandoned", 1, 250)]),
        ([ADD, CLOSED], [], [("abandoned", 1, 250)]),
        ([ADD, PAID, ADD_2, pay(100), CLOSED], [(1, 250), (2, 100)], [("paid", 1, 250), ("paid", 1, 100)]),
        ([ADD, PAID, ADD_2, CLOSED], [(1, 250)], [("paid", 1, 250)]),
        ([ADD, PAID, ADD, PAID, CLOSED], [(1, 250), (1, 250)], [("paid", 1, 250), ("paid", 1, 250)]),
        ([ADD, ADD_2, pay(350), ("item.voided", {"line": 1}), pay(-250)],
         [(1, 250), (2, 100), (1, -250)], [("paid", 2, 350), ("paid", 1, -250)]),
        ([ADD, pay(100), CLOSED], [(1, 250)], [("paid", 1, 250)]),
        ([("item.added", {"unit_price_minor": 0}), CLOSED], [(1, 0)], [("paid", 1, 0)]),
        ([("basket.opened", {}), CLOSED], [], [("voided", 0, 0)]),
        ([CLOSED, ("item.voided", {"line": 1})], [], []),
        ([PAID], [], []),
        ([PAID, CLOSED], [], [("paid", 0, 0)]),
        ([ADD, pay(300, "cash"), pay(-50, "cash"), CLOSED], [(1, 250)], [("paid", 1, 250)]),
        ([ADD, pay(300, "cash"), CLOSED], [(1, 250)], [("paid", 1, 250)]),
    ],
    ids=["plain", "two tenders", "failed", "voided", "one voided", "quantity", "repriced", "abandoned", "left unpaid",
         "extra paid", "extra unpaid", "line again", "refund", "partly paid", "free", "empty", "unknown", "not closed",
         "no lines", "change", "change kept"],
)  # fmt: skip
def test_what_a_basket_sells(said: list[Said], lines: list[tuple[int, int]], ends: list[tuple[str, int, int]]) -> None:
    assert sold(*said) == (lines, ends)


def test_a_sold_line_that_was_voided_goes_back_though_its_number_is_used_again() -> None:
    shop, till = Shop(), Till()
    void: Said = ("item.voided", {"line": 1})
    said = [("item.added", {"unit_price_minor": 500}), pay(500), void, ("item.added", {"unit_price_minor": 300})]
    for kind, data in [*said, pay(-200), CLOSED]:
        shop.feed(till.say(kind, **data))
        shop.restart()
    assert [(one.id, one.kind, one.amount_minor) for one in of(shop.all, m.SaleLine)] == [
        ("sco-1:B1:2:1", "sale", 500),
        ("sco-1:B1:5:1-before", "return", -500),
        ("sco-1:B1:5:1", "sale", 300),
    ]
    assert [(one.outcome, one.amount_minor) for one in of(shop.all, m.SaleBasket)] == [("paid", 500), ("paid", -200)]
    assert of(shop.all, m.ReviewSuggested) == []


def test_however_often_a_number_is_used_again_no_sum_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basket, "MOST_DONE", 2)
    again = [("item.added", {"line": line}) for line in range(1, 5)]
    voids = [("item.voided", {"line": line}) for line in range(1, 5)]
    lines, ends = sold(*again, pay(1000), *voids, *again, *again, pay(0), *again, pay(1000))
    assert len(lines) == 4 + 4 + 4 + 4
    assert ends == [("paid", 4, 1000), ("paid", 8, 0), ("paid", 4, 1000)]


def test_what_goes_back_is_negative_and_a_return() -> None:
    shop, till = Shop(), Till()
    shop.feed(till.say("item.added", quantity=2), till.say("payment.succeeded", amount_minor=500))
    shop.feed(till.say("item.quantity_changed", line=1, quantity=1, amount_minor=250))
    shop.feed(till.say("payment.succeeded", amount_minor=-250))
    (line,) = of(shop.all, m.SaleLine)[1:]
    assert (line.kind, line.quantity_thousandths, line.amount_minor, line.id) == ("return", -1000, -250, "sco-1:B1:4:1")
    assert [(one.change, one.reason) for one in of(shop.all, m.StockChanged)] == [(-2, "sale"), (1, "return")]


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        ([ADD, pay(300), CLOSED], "paid 300, sold for 250 (minor units)"),
        ([ADD, pay(100), CLOSED], "paid 100, sold for 250 (minor units)"),
        ([ADD, pay(100), ("basket.abandoned", {})], "paid 100, sold for 0 (minor units)"),
        ([ADD, ("item.added", {"line": 2, "currency": "CHF"}), pay(500)], "lines in CHF and EUR"),
        ([ADD, ("item.added", {"line": 2, "unit_price_minor": 10**12}), PAID], "line 2 of 1000000000000 is left out"),
        ([ADD, pay(10**12), PAID], "a payment of 1000000000000 is left out"),
    ],
)
def test_sums_that_do_not_agree_are_said(said: list[Said], evidence: str) -> None:
    shop, till = Shop(), Till()
    for kind, data in said:
        shop.feed(till.say(kind, **data))
    (review,) = of(shop.all, m.ReviewSuggested)
    assert (review.signals, review.advice) == ((("sums_differ", 4000, evidence),), "recount")


def test_a_late_line_of_a_paid_basket_is_sold_at_once() -> None:
    shop, till = Shop(), Till()
    said = [till.say(kind, **data) for kind, data in (ADD, ADD_2, pay(350), CLOSED)]
    first, lost, paid, closed = said
    shop.feed(first, paid, closed)
    shop.tick(minutes=11)
    assert [one.amount_minor for one in of(shop.all, m.SaleBasket)] == [250]
    shop.restart()
    shop.feed(lost)
    assert [(one.id, one.amount_minor) for one in of(shop.all, m.SaleLine)] == [
        ("sco-1:B1:4:1", 250),
        ("sco-1:B1:2:2", 100),
    ]
    assert [one.amount_minor for one in of(shop.all, m.SaleBasket)] == [250, 100]
    assert len(of(shop.all, m.ReviewSuggested)) == 1  # the first one: 350 paid, 250 sold; now the sums agree


PROVEN, SENT = "proven", "sent"


@pytest.mark.parametrize(
    ("price", "then", "more", "direction"),
    [
        (250, shelf(250, 250), {}, None),
        (260, shelf(250, 250), {}, "over"),
        (260, shelf(250, 260), {}, "over"),
        (240, shelf(250, 250), {}, "under"),
        (240, shelf(250, 240), {}, None),
        (245, shelf(240, 250, faces=[(240, SENT)]), {}, "over"),
        (240, shelf(240, 250, faces=[(240, SENT)]), {}, None),
        (240, shelf(250, 250), {"from_cache": True, "price_version": 6}, None),
        (240, shelf(250, 250), {"from_cache": True, "price_version": 7}, "under"),
        (240, shelf(250, 250), {"price_version": 6}, "under"),
        (260, shelf(250, 250), {"from_cache": True, "price_version": 6}, "over"),
        (240, shelf(None, 250), {}, "under"),
        (260, shelf(None, 250), {}, None),
        (260, shelf(250, None), {}, "over"),
        (240, shelf(250, None), {}, None),
        (260, shelf(250, 250, basis="unknown"), {}, None),
        (260, shelf(250, 250, gtin=BREAD), {}, None),
        (260, None, {}, None),
    ],
)
def test_a_price_that_is_not_the_shelfs(
    price: int, then: m.ShelfThen | None, more: dict[str, Any], direction: str | None
) -> None:
    followed = Shop().feed(event("item.added", unit_price_minor=price, shelf=then, **more))
    found = of(followed, m.PriceMismatch)
    assert [one.direction for one in found] == ([] if direction is None else [direction])
    assert [(one.charged_minor, one.shown_minor, one.gtin, one.line) for one in found] == [
        (price, then.lowest_minor, APPLE, 1) for then in [then] if then is not None and found
    ]


def test_a_price_is_judged_again_when_it_changes() -> None:
    shop = Shop()
    shop.feed(event("item.added", 1, shelf=shelf(250, 250)))
    data = {"line": 1, "unit_price_minor": 260, "amount_minor": 260}
    (found,) = of(shop.feed(event("item.repriced", 2, shelf=shelf(250, 250), **data)), m.PriceMismatch)
    assert (found.direction, found.id) == ("over", "sco-1:B1:2:price")


@pytest.mark.parametrize(
    ("then", "wave", "pending"),
    [
        (shelf(250, 250), "w7", False),
        (shelf(250, 250, faces=[(250, PROVEN), (250, SENT)]), "w7", True),
        (shelf(250, 250, faces=[(250, PROVEN), (300, PROVEN)]), "w7", True),
        (shelf(250, 240, faces=[(250, PROVEN)]), "w250", False),
        (shelf(300, 300, faces=[(300, PROVEN)]), None, True),
        (shelf(None, 250), "w7", False),
        (shelf(250, 250, faces=[(250, SENT)], basis="unknown"), "w7", False),
        (None, None, False),
    ],
)
def test_a_line_carries_its_wave_and_whether_labels_agreed(
    then: m.ShelfThen | None, wave: str | None, *, pending: bool
) -> None:
    shop, till = Shop(), Till()
    shop.feed(till.say("item.added", shelf=then, at=AT), till.say("payment.succeeded", amount_minor=250))
    (line,) = of(shop.all, m.SaleLine)
    assert (line.wave, line.pending, line.shelf, line.at) == (wave, pending, then, AT)


def test_a_weighed_line_keeps_the_scales_figure() -> None:
    shop, till = Shop(), Till()
    shop.feed(
        till.say("item.added", weight_mg=352_413, amount_minor=88), till.say("payment.succeeded", amount_minor=88)
    )
    (line,) = of(shop.all, m.SaleLine)
    assert (line.weight_mg, line.amount_minor) == (352_413, 88)
    assert [(one.change, one.unit) for one in of(shop.all, m.StockChanged)] == [(-352_413, "mg")]


def test_baskets_of_a_terminal_are_bounded() -> None:
    shop, till = Shop(), Till()
    for number in range(LIVING + 2):
        shop.feed(till.say("item.added", f"B{number}"))
    assert [one.basket for one in of(shop.all, m.SaleBasket)] == ["B0", "B1"]
    assert shop.db.execute("SELECT count(*) FROM till_basket").fetchone() == (LIVING,)
    shop.feed(till.say("payment.succeeded", "B2", amount_minor=250))
    assert [one.basket for one in of(shop.all, m.SaleLine)] == ["B2"]


def test_baskets_that_have_ended_make_room_first() -> None:
    shop, till = Shop(), Till()
    shop.feed(till.say("item.added", "parked"))
    for number in range(2 * LIVING):
        shop.feed(till.say("item.added", f"B{number}"), till.say("payment.succeeded", f"B{number}", amount_minor=250))
        shop.feed(till.say("basket.closed", f"B{number}"))
    assert shop.db.execute("SELECT count(*) FROM till_basket").fetchone() == (LIVING,)
    (end,) = of(shop.feed(till.say("payment.succeeded", "parked", amount_minor=250)), m.SaleBasket)
    assert (end.basket, end.outcome) == ("parked", "paid")


def test_an_event_without_a_basket_belongs_to_the_one_its_terminal_is_at() -> None:
    shop, till = Shop(), Till()
    shop.feed(till.say("item.added", None), till.say("item.added", "B1"), till.say("item.voided", None, line=1))
    kept = shop.db.execute("SELECT seq, basket FROM till_event").fetchall()
    assert kept == [(1, None), (2, "B1"), (3, "B1")]
    assert of(shop.feed(till.say("basket.closed")), m.SaleBasket)[0].outcome == "voided"
