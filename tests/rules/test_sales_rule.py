"""The rule over its real tables: whatever the delivery, the same facts; each line sold once; sums exact."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import messages as m
from gateway.rules.loss import LossPolicy
from gateway.rules.open_baskets import PAUSES
from gateway.rules.sales import Policy
from tests.rules.sales_kit import APPLE, AT, BREAD, CHEESE, Shop, Till, event, of, outcomes, results

TELL_ALL = Policy(loss=LossPolicy(look=1))
LINES, PRICES = st.integers(1, 4), st.integers(1, 500)


def action(kind: str, **data: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.tuples(st.just(kind), st.fixed_dictionaries(data))


ADDED = action("item.added", line=LINES, gtin=st.sampled_from([APPLE, BREAD, CHEESE]), unit_price_minor=PRICES)
PAID = action("pay all")
ANYTHING = st.one_of(
    ADDED,
    action("item.added", line=LINES, gtin=st.just(APPLE), quantity=LINES, unit_price_minor=PRICES),
    PAID,
    action("payment.succeeded", amount_minor=st.integers(-200, 900)),
    action("item.voided", line=LINES),
    action("item.quantity_changed", line=LINES, quantity=LINES, amount_minor=PRICES),
    action("item.repriced", line=LINES, unit_price_minor=PRICES, amount_minor=PRICES),
    action("bag.weight", weight_mg=st.integers(0, 2_000_000)),
    action("roi.entered", roi=st.just("bagging"), item=st.sampled_from([APPLE, BREAD]), by=st.just("rfid")),
    action("payment.started", amount_minor=PRICES),
    action("payment.failed", reason=st.just("declined")),
    action("basket.opened"),
    action("basket.closed"),
    action("basket.abandoned"),
    action("strange"),
    action("next basket", basket=st.sampled_from(["B1", "B2", "B3"])),
)
# Mere chance seldom buys anything: half of it is a plain purchase, perhaps of what is in the basket already.
ACTIONS = st.lists(
    st.one_of(st.tuples(ANYTHING), st.tuples(ADDED, PAID), st.tuples(ADDED, ANYTHING, PAID)), max_size=12
).map(lambda trips: [one for trip in trips for one in trip])


def spoken(actions: Sequence[tuple[str, dict[str, Any]]]) -> list[m.TillEvent]:
    """Return the events of a till whose shoppers do these things."""
    till, basket, owed = Till(step_s=20), "B1", Counter[str]()
    for kind, data in actions:
        if kind == "next basket":
            basket = data["basket"]
        elif kind == "pay all":
            till.say("payment.succeeded", basket, amount_minor=owed.pop(basket, 0))
        else:
            owed[basket] += data.get("unit_price_minor", 0) * data.get("quantity", 1)
            till.say(kind, None if kind == "bag.weight" else basket, **data)
    return till.said


def ids(shop: Shop) -> list[str]:
    return [fact.id for fact in shop.facts() if fact.id is not None]


def said(shop: Shop) -> list[str]:
    """Return the facts as head office gets them, less those that time alone brings."""
    facts = [fact for fact in shop.facts() if not isinstance(fact, m.TerminalMinute)]
    return sorted(f"{fact.type} {fact.model_dump_json()}" for fact in facts)


@settings(max_examples=150, deadline=None)
@given(ACTIONS, st.data())
def test_any_delivery_over_any_restarts_gives_the_facts_of_delivery_in_order(
    actions: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    events = spoken(actions)
    in_order, shaken = Shop(TELL_ALL), Shop(TELL_ALL)
    in_order.feed(*events)
    stray = data.draw(st.lists(st.sampled_from(events), max_size=30)) if events else []
    deliveries: list[m.TillEvent | None] = [*stray, *data.draw(st.permutations(events))]
    for at in data.draw(st.lists(st.integers(0, len(deliveries)), max_size=4)):
        deliveries.insert(at, None)
    for delivered in deliveries:
        if delivered is None:
            shaken.restart()
        else:
            assert results(shaken.feed(delivered)) in (["accepted"], ["duplicate"])
    for shop in (in_order, shaken):
        shop.tick(hours=2)
    assert said(shaken) == said(in_order)
    assert shaken.rule.ack_seq("sco-1") == len(events)


@settings(max_examples=150, deadline=None)
@given(ACTIONS, st.data())
def test_restarts_change_nothing_whatever_is_lost_and_however_late(
    actions: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    """Here events are lost for ever, gaps are given up, baskets time out: with or without restarts, all is the same."""
    events = spoken(actions)
    steps = st.one_of(st.sampled_from(events), st.sampled_from([3, 11, 40])) if events else st.just(11)
    steady, shaken, minutes = Shop(TELL_ALL), Shop(TELL_ALL), 0
    for step in data.draw(st.lists(steps, max_size=40)):
        if isinstance(step, int):
            minutes += step
        message = m.Tick(at=AT, source=m.GATEWAY) if isinstance(step, int) else step
        late = {"at" if isinstance(step, int) else "received_at": AT + timedelta(minutes=minutes + 10)}
        for shop in (steady, shaken):
            shop.feed(message.model_copy(update=late) if isinstance(message, m.Tick) else message._replace(**late))
        if data.draw(st.booleans()):
            shaken.restart()
    for shop in (steady, shaken):
        shop.tick(minutes=minutes + 60)
    assert shaken.facts() == steady.facts()
    assert outcomes(shaken.all) == outcomes(steady.all)
    assert len(ids(steady)) == len(set(ids(steady)))


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_each_line_is_sold_once_and_sums_are_exact(actions: list[tuple[str, dict[str, Any]]]) -> None:
    shop, events = Shop(), spoken(actions)
    shop.feed(*events)
    lines, baskets = of(shop.all, m.SaleLine), of(shop.all, m.SaleBasket)
    assert len(set(ids(shop))) == len(ids(shop))
    by_cause: dict[str, int] = defaultdict(int)
    for line in lines:
        by_cause[line.cause] += line.amount_minor
    for basket in baskets:
        if basket.outcome == "paid":
            assert basket.amount_minor == by_cause.pop(basket.cause, 0)
    assert not by_cause
    told_of = Counter((one.basket, one.data["line"]) for one in events if one.kind.startswith("item."))
    sales = Counter((line.basket, line.line) for line in lines if line.quantity_thousandths)
    assert sales <= told_of  # no line is sold, or taken back, more often than the till said something of it
    change = Counter[str]()
    for line in lines:
        change[line.gtin] -= line.quantity_thousandths // 1000
    told = Counter[str]()
    for stock in of(shop.all, m.StockChanged):
        told[stock.gtin] += stock.change
    assert +change + -change == +told + -told


def test_a_paid_basket_says_its_lines_and_its_sum() -> None:
    shop, till = Shop(), Till()
    till.say("basket.opened")
    till.say("item.added", quantity=2)
    till.say("item.added", line=2, gtin=BREAD, unit_price_minor=199)
    till.say("payment.started", amount_minor=699)
    till.say("payment.succeeded", amount_minor=699)
    followed = shop.feed(*till.said)
    lines, (basket,) = of(followed, m.SaleLine), of(followed, m.SaleBasket)
    assert [(one.line, one.gtin, one.quantity_thousandths, one.amount_minor) for one in lines] == [
        (1, APPLE, 2000, 500),
        (2, BREAD, 1000, 199),
    ]
    assert (basket.outcome, basket.lines, basket.amount_minor, basket.currency) == ("paid", 2, 699, "EUR")
    assert basket.tenders == (m.TenderSum(tender="card", amount_minor=699),)
    assert basket.opened_at == till.said[0].at
    assert lines[0].id == "sco-1:B1:5:1"
    assert results(followed) == ["accepted"] * 5


def test_what_does_not_parse_is_rejected_with_the_member_that_is_wrong() -> None:
    shop, till = Shop(), Till()
    bad = till.say("item.voided", line="x")
    (answer,) = outcomes(shop.feed(bad))
    assert (answer.result, answer.reason) == (
        "rejected",
        "data.line: Input should be a valid integer",
    )
    assert results(shop.feed(till.say("item.added"))) == ["accepted"]  # its number is used up: nobody waits for it
    assert shop.rule.ack_seq("sco-1") == 2
    shop.restart()
    assert results(shop.feed(bad)) == ["duplicate"]


def test_an_unknown_kind_is_kept_and_changes_nothing() -> None:
    shop = Shop()
    assert results(shop.feed(event("moon.rises", tide=3))) == ["accepted"]
    assert shop.facts() == []
    assert shop.db.execute("SELECT kind FROM till_event").fetchall() == [("moon.rises",)]


def test_a_basket_is_abandoned_after_half_an_hour_also_over_a_restart() -> None:
    shop, till = Shop(), Till()
    shop.feed(till.say("item.added"), till.say("bag.weight", None, weight_mg=5_000_000))
    shop.restart()
    assert of(shop.tick(till.at, minutes=29), m.SaleBasket) == []
    shop.restart()
    left_at = till.at
    assert of(shop.tick(left_at, hours=60), m.SaleBasket) == []  # its till is cut off: it may have been paid
    shop.feed(till.say("terminal.status", None, state="idle")._replace(received_at=AT + timedelta(hours=60)))
    (basket,) = of(shop.tick(AT, hours=60), m.SaleBasket)
    assert (basket.outcome, basket.lines, basket.amount_minor, basket.closed_at) == ("abandoned", 1, 250, left_at)
    assert of(shop.tick(AT, hours=63), m.SaleBasket) == []


def later(one: m.TillEvent, **delta: float) -> m.TillEvent:
    """Return the event as it comes so long after ten."""
    return one._replace(received_at=AT + timedelta(**delta))


ENDS = [("abandoned", 500), ("paid", 600)]


def ends(shop: Shop) -> list[tuple[str, int]]:
    return [(one.outcome, one.amount_minor) for one in of(shop.all, m.SaleBasket)]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("days", [0, 6])
def test_a_basket_that_pauses_is_told_as_abandoned_once_and_sells_all_its_lines(days: int, *, restart: bool) -> None:
    shop, till = Shop(), Till()
    said = [
        till.say("item.added", unit_price_minor=500),
        later(till.say("terminal.status", None, state="idle"), minutes=40),
        later(till.say("terminal.status", None, state="idle"), minutes=80),
        later(till.say("item.added", line=2, unit_price_minor=100), days=days, minutes=81),
        later(till.say("terminal.status", None, state="idle"), days=days, minutes=120),
        later(till.say("payment.succeeded", amount_minor=600), days=days, minutes=121),
        later(till.say("basket.closed"), days=days, minutes=121),
    ]
    for one in said:
        shop.feed(one)
        if restart:
            shop.restart()
        shop.tick(one.received_at, seconds=1)
        if restart:
            shop.restart()
    assert ends(shop) == ENDS
    assert [(one.line, one.amount_minor) for one in of(shop.all, m.SaleLine)] == [(1, 500), (2, 100)]
    assert of(shop.all, m.ReviewSuggested) == []
    shop.feed(later(till.say("terminal.status", None, state="idle"), days=days, minutes=160))
    shop.tick(days=days, minutes=160)
    assert shop.db.execute("SELECT count(*) FROM till_basket").fetchone() == (0,)


def test_a_basket_parked_at_a_busy_till_is_paid_later() -> None:
    shop, till = Shop(), Till(step_s=60)
    shop.feed(till.say("item.added", "parked", unit_price_minor=500))
    for number in range(60):
        shop.feed(till.say("item.added", f"B{number}"), till.say("payment.succeeded", f"B{number}", amount_minor=250))
        shop.feed(till.say("basket.closed", f"B{number}"))
        shop.tick(till.at)
        shop.restart()
    shop.feed(till.say("item.added", "parked", line=2, unit_price_minor=100))
    shop.feed(till.say("payment.succeeded", "parked", amount_minor=600))
    told = [(one.outcome, one.amount_minor) for one in of(shop.all, m.SaleBasket) if one.basket == "parked"]
    assert told == ENDS


@pytest.mark.parametrize("end", ["basket.closed", "basket.abandoned"])
def test_a_basket_that_was_left_ends_without_a_word_more(end: str) -> None:
    shop, till = Shop(), Till()
    shop.feed(till.say("item.added", unit_price_minor=500))
    shop.feed(later(till.say("terminal.status", None, state="idle"), minutes=40))
    shop.tick(minutes=40)
    shop.feed(later(till.say("item.added", line=2), minutes=41), later(till.say(end), minutes=41))
    shop.feed(later(till.say("terminal.status", None, state="idle"), minutes=72))
    shop.tick(minutes=72)
    assert ends(shop) == ENDS[:1]
    assert shop.db.execute("SELECT count(*) FROM till_basket").fetchone() == (0,)


def test_a_basket_that_nobody_ended_is_forgotten_after_a_week() -> None:
    shop, till = Shop(), Till()
    shop.feed(till.say("item.added"), later(till.say("terminal.status", None, state="idle"), hours=1))
    for days, living in ((6.9, 1), (7.1, 0)):
        shop.tick(days=days)
        assert shop.db.execute("SELECT count(*) FROM till_basket").fetchone() == (living,)
    assert ends(shop) == [("abandoned", 250)]


def test_a_basket_that_pauses_too_often_is_forgotten() -> None:
    shop, till = Shop(), Till()
    for hour in range(PAUSES):
        assert shop.db.execute("SELECT count(*) FROM till_basket").fetchone() == (min(hour, 1),)
        shop.feed(later(till.say("item.added", line=hour + 1), hours=hour))
        shop.feed(later(till.say("terminal.status", None, state="idle"), hours=hour, minutes=40))
        shop.tick(hours=hour, minutes=40)
        shop.restart()
    assert shop.db.execute("SELECT count(*) FROM till_basket").fetchone() == (0,)
    assert [outcome for outcome, _ in ends(shop)] == ["abandoned"]


def test_a_till_that_was_cut_off_while_a_basket_was_paid_tells_it_days_later() -> None:
    shop, till = Shop(), Till()
    shop.feed(till.say("item.added"))
    assert of(shop.tick(till.at, hours=72), m.SaleBasket) == []
    shop.restart()
    later = {"received_at": AT + timedelta(hours=72)}
    followed = shop.feed(till.say("payment.succeeded", amount_minor=250, currency="EUR")._replace(**later))
    assert [line.amount_minor for line in of(followed, m.SaleLine)] == [250]
    assert [basket.outcome for basket in of(followed, m.SaleBasket)] == ["paid"]
