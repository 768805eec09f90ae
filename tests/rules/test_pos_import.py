"""Imported transactions: once each, whatever way they come; returns negative; voids take back, in whatever order."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest

from gateway import messages as m
from gateway.rules import pos_import
from gateway.sale_notes import StockCounted
from tests.rules.sales_kit import APPLE, AT, BREAD, Shop, of, results

DAY = date(2026, 11, 22)
KEY = "0421/POS 7/2026-11-22/118"


def pos_line(line: int = 1, **more: Any) -> m.PosLine:
    fields: dict[str, Any] = {
        "kind": "sale",
        "gtin": APPLE,
        "item": None,
        "quantity_thousandths": 2000,
        "weight_mg": None,
        "unit_price_minor": 250,
        "amount_minor": 450,
        "discount_minor": 50,
        "voided": False,
    }
    return m.PosLine(line=line, **fields | more)


def transaction(sequence: str = "118", *lines: m.PosLine, **more: Any) -> m.PosTransaction:
    fields: dict[str, Any] = {
        "at": AT,
        "source": "pos",
        "store": "0421",
        "workstation": "POS 7",
        "business_day": DAY,
        "kind": "sale",
        "currency": "EUR",
        "lines": lines or (pos_line(),),
        "tenders": (m.TenderSum(tender="cash", amount_minor=450),),
    }
    return m.PosTransaction(sequence=sequence, **fields | more)


def void(sequence: str = "119", target: str = "118", **more: Any) -> m.PosTransaction:
    return transaction(sequence, **{"kind": "void", "voids": target, "lines": (), "tenders": ()} | more)


def transaction_of(**more: Any) -> m.PosTransaction:
    return transaction().model_copy(update=more)


def test_a_sale_is_told_by_its_natural_key() -> None:
    shop = Shop()
    followed = shop.feed(transaction("118", pos_line(), pos_line(2, gtin=None, item="77"), pos_line(3, voided=True)))
    assert results(followed) == ["accepted"]
    lines, (basket,) = of(followed, m.SaleLine), of(followed, m.SaleBasket)
    assert [(one.id, one.gtin, one.item, one.amount_minor, one.discount_minor) for one in lines] == [
        (f"pos:{KEY}:1", APPLE, None, 450, 50),
        (f"pos:{KEY}:2", None, "77", 450, 50),
    ]
    assert (basket.terminal, basket.basket, basket.origin) == ("pos-7", "2026-11-22-118", "poslog")
    assert (basket.outcome, basket.lines, basket.voided, basket.amount_minor) == ("paid", 2, 1, 900)
    assert [(one.change, one.reason) for one in of(followed, m.StockChanged)] == [(-2, "sale")]


@pytest.mark.parametrize("sign", [1, -1], ids=["documents that write it positive", "negative"])
def test_what_goes_back_is_negative_whatever_the_document_writes(sign: int) -> None:
    back = pos_line(kind="return", quantity_thousandths=sign * 1000, amount_minor=sign * 250, discount_minor=0)
    followed = Shop().feed(transaction("118", back, kind="return"))
    (line,) = of(followed, m.SaleLine)
    assert (line.kind, line.quantity_thousandths, line.amount_minor) == ("return", -1000, -250)
    assert [(one.change, one.reason) for one in of(followed, m.StockChanged)] == [(1, "return")]


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({}, "duplicate"),
        ({"source": "folder", "at": AT + timedelta(hours=1), "problems": ("read anew",)}, "duplicate"),
        ({"lines": (pos_line(amount_minor=1),)}, "conflict"),
        ({"kind": "return"}, "conflict"),
        ({"sequence": "119"}, "accepted"),
        ({"workstation": "POS 8"}, "accepted"),
        ({"business_day": DAY + timedelta(days=1)}, "accepted"),
    ],
)
@pytest.mark.parametrize("restart", [False, True])
def test_a_second_import_is_a_no_op(change: dict[str, Any], result: str, *, restart: bool) -> None:
    shop = Shop()
    shop.feed(transaction())
    if restart:
        shop.restart()
    followed = shop.feed(transaction_of(**change))
    assert results(followed) == [result]
    assert bool(of(followed, m.SaleLine)) == (result == "accepted")


def test_a_void_takes_back_lines_and_stock_in_any_order_and_over_restarts() -> None:
    told = set()
    for order in permutations([transaction(), void(), transaction("120", pos_line(gtin=BREAD))]):
        shop = Shop()
        shop.feed(StockCounted(at=AT, source="x", gtin=APPLE, amount=10))
        for one in order:
            shop.restart()
            assert results(shop.feed(one, one)) == ["accepted", "duplicate"]
        assert shop.stock.on_hand(APPLE) == 10
        sales = [one for one in shop.facts() if not isinstance(one, m.StockChanged)]
        assert sum(one.amount_minor for one in of(sales, m.SaleLine)) == 450
        told.add(tuple(sorted(one.model_dump_json() for one in sales)))
    assert len(told) == 1
    assert "voided" in str(told)


@pytest.mark.parametrize("target", ["118", KEY])
def test_a_void_names_a_sequence_or_a_whole_key(target: str) -> None:
    shop = Shop()
    shop.feed(transaction(), void(target=target), void("121", target=target))
    assert [one.amount_minor for one in of(shop.all, m.SaleLine)] == [450, -450]
    assert [(one.outcome, one.amount_minor) for one in of(shop.all, m.SaleBasket)] == [("paid", 450), ("voided", -450)]


def test_a_void_of_what_is_only_known_by_key_uses_its_own_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pos_import, "BODIES", 1)
    shop = Shop()
    shop.feed(transaction(), transaction("120"), void(lines=(pos_line(),)))
    assert [one.amount_minor for one in of(shop.all, m.SaleLine)] == [450, 450, -450]


def test_a_transaction_that_voids_itself_sold_nothing_and_others_are_only_kept() -> None:
    shop = Shop()
    shop.feed(transaction("118", pos_line(), kind="void"), transaction("119", kind="other"))
    assert of(shop.all, m.SaleLine) == []
    assert [(one.outcome, one.voided) for one in of(shop.all, m.SaleBasket)] == [("voided", 1)]


def test_keys_are_kept_for_400_days() -> None:
    shop = Shop()
    shop.feed(transaction())
    shop.tick(AT, days=400)
    assert results(shop.feed(transaction())) == ["duplicate"]
    shop.tick(AT, days=401)
    shop.restart()
    assert results(shop.feed(transaction())) == ["accepted"]


@pytest.mark.parametrize(
    ("workstation", "terminal"), [("7", "7"), ("Kasse 1", "kasse-1"), ("_x", "pos-_x"), ("é" * 50, "pos-" + "-" * 36)]
)
def test_a_workstation_becomes_a_terminal(workstation: str, terminal: str) -> None:
    (basket,) = of(Shop().feed(transaction(workstation=workstation)), m.SaleBasket)
    assert basket.terminal == terminal


def test_a_sum_beyond_all_shopping_is_rejected() -> None:
    most = 10**12
    lines = (pos_line(amount_minor=most), pos_line(2, amount_minor=most))
    assert results(Shop().feed(transaction("118", *lines))) == ["rejected"]
