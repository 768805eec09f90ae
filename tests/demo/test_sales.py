"""The judge of the demo's tills: it must see each way in which a sale can be wrong, and nothing else."""

from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest

from drivers.simulators._till_basket import Quote
from drivers.simulators._till_clock import TillClock
from drivers.simulators._till_log import EventLog
from drivers.simulators._till_machine import TillMachine
from drivers.simulators._till_truth import Ledger, as_json
from gateway.demo.audit import Audit
from gateway.demo.sales import Beside, Sales, beside_shelf, breaches
from gateway.demo.tills import is_idle
from gateway.hq.wire import Event

START = datetime(2026, 11, 22, tzinfo=UTC)
LABEL, GTIN = "0000021B2C3D4E5F", "06901234567892"
NUMBERS = count(1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event(seconds: float, event_type: str, **data: Any) -> Event:
    number = next(NUMBERS)
    return Event(f"e{number}", "demo", "gw1", "tills", "business", event_type, at(seconds), number, None, data, {})


def paid(seconds: float, price: int, line: int = 1, **more: Any) -> dict[str, Any]:
    """Return a line as `GET /truth` of a till has it."""
    one = {"terminal": "sco-1", "basket": "b-1", "line": line, "gtin": GTIN, "lease": "none", "from_cache": False}
    prices = {"scanned_minor": price, "unit_price_minor": price, "amount_minor": 2 * price}
    return {**one, **prices, "priced_at": at(seconds).isoformat(), **more}


def sale(seconds: float, amount: int, line: int = 1, basket: str = "b-1") -> Event:
    return event(seconds, "sale.line", terminal="sco-1", basket=basket, line=line, amount_minor=amount)


def shop(*lines: dict[str, Any]) -> tuple[Sales, Audit]:
    """Return a till that sold these lines, beside a label that shows 100 from 10 s and 150 from 20 s."""
    audit = Audit()
    for digest, price in (("a", 100), ("b", 150)):
        audit.feed(event(0, "label.sent", label=LABEL, gtin=GTIN, price_minor=price, digest=digest))
    for seconds, digest in ((0, None), (10, "a"), (20, "b")):
        audit.see(LABEL, at(seconds), digest)
    sales = Sales(modes={"sco-1": "ask"})
    sales.see("sco-1", {"lines": list(lines)}, at(60))
    for line in lines:
        sales.feed(sale(30, line["amount_minor"], line["line"]))
    return sales, audit


def test_sold_at_the_price_on_the_shelf_nothing_is_wrong() -> None:
    sales, audit = shop(paid(10, 100), paid(19.9, 100, 2), paid(20, 150, 3))
    assert list(breaches(sales, audit)) == []
    assert beside_shelf(sales.lines(), audit) == Beside()
    assert sales.sum_minor() == 700


@pytest.mark.parametrize(("seconds", "price", "shown"), [(19.9, 150, 100), (20, 151, 150)])
def test_a_price_above_the_shelf_is_seen_to_the_instant(seconds: float, price: int, shown: int) -> None:
    sales, audit = shop(paid(seconds, price))
    (above,) = beside_shelf(sales.lines(), audit).above
    assert (above.paid.price_minor, above.label, above.shown_minor) == (price, LABEL, shown)
    (said,) = breaches(sales, audit)
    assert said == f"at {at(seconds).isoformat()} sco-1 sold {GTIN} at {price}, label {LABEL} showed {shown}"


def test_a_price_that_rises_between_scan_and_payment_is_above_the_shelf() -> None:
    sales, audit = shop(paid(15, 100, unit_price_minor=150))
    assert len(beside_shelf(sales.lines(), audit).above) == 1


def test_each_label_of_the_product_counts() -> None:
    sales, audit = shop(paid(25, 150))
    audit.feed(event(0, "label.sent", label="second", gtin=GTIN, price_minor=140, digest="c"))
    audit.see("second", at(0), "c")
    assert [above.label for above in beside_shelf(sales.lines(), audit).above] == ["second"]


@pytest.mark.parametrize(("seconds", "price"), [(5, 100), (25, 100)])
def test_a_label_that_shows_no_or_a_higher_price_is_still_changing_and_no_harm(seconds: float, price: int) -> None:
    sales, audit = shop(paid(seconds, price))
    assert beside_shelf(sales.lines(), audit) == Beside((), 1)
    assert list(breaches(sales, audit)) == []


def test_a_label_that_shows_another_product_by_now_promises_nothing() -> None:
    sales, audit = shop(paid(45, 150))
    audit.feed(event(0, "label.sent", label=LABEL, gtin="06901234567885", price_minor=1, digest="z"))
    audit.see(LABEL, at(40), "z")
    assert beside_shelf(sales.lines(), audit) == Beside((), 1)


def test_money_back_is_not_held_against_the_shelf_but_must_arrive() -> None:
    sales, audit = shop(paid(15, 100, 2), paid(15, 900, amount_minor=-900))
    assert list(breaches(sales, audit)) == []
    sales.heard.clear()
    assert len(sales.missing()) == 2


def test_a_line_that_does_not_arrive() -> None:
    sales, audit = shop(paid(15, 100))
    sales.see("sco-1", {"lines": [paid(15, 100), paid(16, 100, 2)]}, at(61))
    assert [line.key for line in sales.missing()] == [("sco-1", "b-1", 2)]
    assert list(breaches(sales, audit)) == ["line 2 of sco-1's basket b-1 never reached head office"]


def test_a_line_that_arrives_twice() -> None:
    sales, audit = shop(paid(15, 100))
    sales.feed(sale(30, 200))
    assert sales.twice() == [("sco-1", "b-1", 1)]
    assert list(breaches(sales, audit)) == ["line 1 of sco-1's basket b-1 reached head office more than once"]


def test_a_line_that_arrives_with_another_amount() -> None:
    sales, audit = shop(paid(15, 100))
    sales.heard.clear()
    sales.feed(sale(30, 201))
    assert list(breaches(sales, audit)) == ["line 1 of sco-1's basket b-1 arrived with 201, 200 was paid"]


def test_a_line_that_nobody_paid_unless_it_was_scanned_after_the_last_look() -> None:
    sales, audit = shop(paid(15, 100))
    sales.feed(sale(60.1, 500, basket="b-3"))
    assert list(breaches(sales, audit)) == []
    sales.feed(sale(59.9, 500, basket="b-2"))
    assert list(breaches(sales, audit)) == ["line 1 of sco-1's basket b-2 arrived with 500, nothing was paid"]


def test_a_mismatch_that_the_gateway_saw() -> None:
    sales, audit = shop(paid(15, 100))
    sales.feed(event(15, "price.mismatch", terminal="sco-1", charged_minor=9, gtin=GTIN, direction="under"))
    assert list(breaches(sales, audit)) == [f"the gateway says that sco-1 charged 9 for {GTIN}: under"]


def test_a_cache_without_a_lease_and_a_till_that_shows_nothing_of_its_way() -> None:
    sales, audit = shop(paid(15, 100, from_cache=True, lease="over"))
    assert list(breaches(sales, audit)) == [
        "line 1 of sco-1's basket b-1 came from a cache without a lease",
        "till sco-1 sold nothing by asking",
    ]
    sales.modes["sco-1"] = "cache"
    assert sales.idle() == []


def test_the_truth_told_again_counts_once() -> None:
    sales, _ = shop(paid(15, 100))
    sales.see("sco-1", {"lines": [paid(15, 100), paid(16, 100, 2)]}, at(61))
    sales.see("sco-1", {"lines": [paid(15, 100), paid(16, 100, 2)]}, at(62))
    assert len(sales.lines()) == 2


def test_the_truth_of_the_simulated_till_is_understood() -> None:
    log, ledger = EventLog(), Ledger()
    till = TillMachine("sco-1", TillClock(lambda: 0.0, lambda: at(15)), Random(1), log, ledger)
    till.open()
    till.scan(GTIN, Quote(GTIN, 150, 150, "CNY", 7, at(14), from_cache=True, lease="held"), quantity=2)
    assert not is_idle(as_json(ledger, {"sco-1": log})["tills"]["sco-1"])
    till.reprice(1, Quote(GTIN, 100, 100, "CNY", 8, at(15)))
    till.pay("card", till.start_payment())
    till.close()
    truth = as_json(ledger, {"sco-1": log})
    assert not is_idle(truth["tills"]["sco-1"])  # nothing is answered yet
    assert is_idle({**truth["tills"]["sco-1"], "unsent": 0})
    sales = Sales()
    sales.see("sco-1", truth, at(16))
    (line,) = sales.lines()
    assert (line.price_minor, line.amount_minor, line.priced_at) == (150, 200, at(14))
    assert (line.from_cache, line.leased) == (True, True)
