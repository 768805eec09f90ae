"""The tables of sales in the real store: what is kept, what a restart and a kill give back, what is pruned."""

import sqlite3
import tracemalloc
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json
from sqlite_utils import Database

from gateway import messages as m
from gateway import sale_notes as notes
from gateway.rules.sales import Policy, Sales
from gateway.sale_notes import KeptSales, Replayed
from gateway.store import apply_sales
from gateway.store.apply_prices import PriceTables
from gateway.store.apply_sales import SaleTables, load
from tests.rules.sales_kit import APPLE, AT, BREAD, Shop, Till, batches, event, of, results, shelf
from tests.store.store_kit import crashed, drain, opened

TABLES = ("till_event", "till_terminal", "till_basket", "pos_transaction", "pos_body", "stock", "learnt_weight")


def day() -> list[m.TillEvent]:
    """Return two baskets: one paid, one open; with a gap that stays open."""
    till = Till()
    till.say("item.added", quantity=2)
    till.say("payment.succeeded", amount_minor=500)
    till.say("basket.closed")
    till.say("item.added", "B2", gtin=BREAD)
    till.say("bag.weight", None, weight_mg=500_000)
    lost = till.say("session.opened", None)
    till.say("payment.succeeded", "B2", amount_minor=250)
    return [one for one in till.said if one is not lost]


def dump(db: sqlite3.Connection) -> dict[str, list[Any]]:
    return {name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in TABLES}


async def feed(store: Any, rule: Sales, events: Sequence[m.TillEvent]) -> list[m.Message]:
    followed = [one for message in batches(events) for one in rule.feed(message)]
    await store.append(followed)
    return followed


async def test_sales_survive_a_kill_and_nothing_is_sold_twice(tmp_path: Path) -> None:
    events = day()
    async with opened(tmp_path / "a.db", projections=[SaleTables(), PriceTables()]) as store:
        rule = Sales(Policy(), await store.write(load))
        first = await feed(store, rule, events)
        copy = crashed(tmp_path / "a.db", tmp_path / "after")
    async with opened(copy, projections=[SaleTables(), PriceTables()]) as store:
        rule = Sales(Policy(), await store.write(load))
        assert rule.ack_seq("sco-1") == 5
        again = await feed(store, rule, events)
        assert results(again) == ["duplicate"] * len(events)
        late = await feed(store, rule, [event("session.opened", 6, None, event_id="sco-1.6", at=AT)])
        sold = [fact["id"] for fact in await drain(store, "business") if fact["type"] == "aisled.sale.line.v1"]
    assert [one.id for one in of(first, m.SaleLine)] == ["sco-1:B1:2:1"]
    assert [one.id for one in of(late, m.SaleLine)] == ["sco-1:B2:7:1"]
    assert sold == ["sco-1:B1:2:1", "sco-1:B2:7:1"]


def test_one_batch_keeps_what_many_keep() -> None:
    events = [*day(), *(event("item.added", n, f"C{n}") for n in range(8, 65))]  # so many baskets that some must go
    many, once = Shop(), Shop()
    many.feed(*events)
    for one in events:
        once.feed(one)
    assert dump(many.db) == dump(once.db)
    assert len(dump(once.db)["till_event"]) == len(events)


def test_a_basket_that_is_over_and_begins_again_in_one_batch_lives() -> None:
    shop = Shop()
    begun = {"at": AT, "source": "sco", "terminal": "sco-1", "basket": "B1"}
    shop.tables.apply(
        shop.db,
        [
            notes.BasketBegun(**begun, turn=1, bag_mg=0),
            notes.BasketOver(**begun),
            notes.BasketBegun(**begun, turn=5, bag_mg=7),
        ],
    )
    assert [(one.turn, one.bag_mg) for one in load(shop.db).baskets] == [(5, 7)]


def test_a_till_event_itself_is_not_applied() -> None:
    shop = Shop()
    shop.tables.apply(shop.db, [*batches([event("item.added")])])
    assert dump(shop.db)["till_event"] == []


@pytest.mark.parametrize("seqs", [(1, 2), (1, 1)], ids=["id", "number"])
def test_what_comes_again_after_the_rules_memory_stops_nothing(seqs: tuple[int, int]) -> None:
    shop = Shop()
    for seq in seqs:
        kept = notes.EventKept(event("strange", seq, event_id="same"), seq, None)
        note = notes.TillLogKept(at=AT, source="sco", terminal="sco-1", ack=seq, turn=seq, kept=(kept,))
        shop.tables.apply(shop.db, [note])
    assert [row[1] for row in dump(shop.db)["till_event"]] == sorted(set(seqs))
    assert len(load(shop.db).logs["sco-1"].seen) == len(set(seqs))


def test_events_are_pruned_after_a_fortnight_unless_their_basket_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply_sales, "PRUNED", 3)
    shop, till = Shop(), Till()
    for number in range(3):
        shop.feed(till.say("item.added", f"B{number}"), till.say("basket.abandoned", f"B{number}"))
    shop.tick(hours=1)
    fresh = {"received_at": AT + timedelta(days=15)}
    shop.feed(till.say("item.added", "B9", **fresh), till.say("bag.weight", "B9", weight_mg=1, **fresh))
    left = []
    for hour in range(3):
        shop.tick(days=15, hours=hour)
        left.append(shop.db.execute("SELECT count(*) FROM till_event").fetchone()[0])
        shop.restart()
        assert shop.rule.ack_seq("sco-1") == 8
    assert left == [5, 2, 2]
    assert results(shop.feed(till.said[0])) == ["conflict"]  # it is not known any more: no till has it still


def test_at_start_no_more_is_replayed_than_living_baskets_and_open_minutes_need() -> None:
    shop, till = Shop(), Till(step_s=60)
    for number in range(40):
        shop.feed(till.say("item.added", f"B{number}"), till.say("basket.abandoned", f"B{number}"))
        shop.tick(till.at, seconds=1)
    kept = load(shop.db)
    assert len(kept.replay["sco-1"]) <= 34  # half an hour of two-minute baskets, and the newest minute
    assert len(kept.logs["sco-1"].seen) == 80


def test_of_a_basket_that_was_left_only_its_own_events_are_replayed() -> None:
    shop, till = Shop(), Till(step_s=60)
    shop.feed(till.say("item.added", "left"))
    for number in range(100):
        shop.feed(till.say("item.added", f"B{number}"), till.say("basket.abandoned", f"B{number}"))
        shop.tick(till.at, seconds=1)
    kept = load(shop.db)
    assert [(one.turn, one.left) for one in kept.baskets if one.basket == "left"] == [(1, (1,))]
    assert [one.turn for one in kept.replay["sco-1"] if one.basket == "left"] == [1]
    assert len(kept.replay["sco-1"]) <= 34


async def test_the_catalogues_weights_are_read_from_the_master_data(tmp_path: Path) -> None:
    products = tuple(m.Product(gtin=g, name={"en": "x"}, weight_mg=mg) for g, mg in ((APPLE, 1000), (BREAD, None)))
    async with opened(tmp_path / "a.db", projections=[PriceTables(), SaleTables()]) as store:
        await store.append([m.ProductsUpdate(at=AT, source="hq", sequence=1, full=False, products=products)])
        assert (await store.write(load)).catalogue == {APPLE: 1000}


def test_keys_of_many_days_are_never_in_memory_as_text() -> None:
    shop, days, of_day = Shop(), 20, 1000
    for day in range(days):
        rows = [(f"2026-11-{day + 1:02}", f"0421/7/{day}/{n}", f"{n:032x}") for n in range(of_day)]
        shop.db.executemany("INSERT INTO pos_transaction VALUES (?, ?, ?)", rows)
    tracemalloc.start()
    kept = load(shop.db)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / (days * of_day) < 50  # bytes; a row as text needs 275
    assert [len(keys) for keys, _ in kept.transactions.values()] == [of_day] * days
    assert all(list(keys) == sorted(set(keys)) for keys, _ in kept.transactions.values())


def test_a_new_shop_has_nothing() -> None:
    assert load(Shop().db) == KeptSales(bodies=[])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT seq, received_at FROM till_event WHERE terminal = 'a' AND turn < 9 ORDER BY turn LIMIT 5",
        "SELECT body FROM till_event WHERE terminal = 'a' AND turn IS NULL",
        "SELECT body FROM till_event WHERE terminal = 'a' AND turn >= 7",
        "SELECT body FROM till_event WHERE terminal = 'a' AND turn >= 7 AND turn < 9 AND basket IN ('b', 'c')",
        "SELECT seq FROM till_event WHERE terminal = 'a' ORDER BY seq DESC LIMIT 9",
        "DELETE FROM pos_transaction WHERE day < '2026-01-01'",
    ],
)
def test_no_query_scans_or_sorts_a_table(query: str) -> None:
    plan = [row[3] for row in Shop().db.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plan
    assert all(step.startswith("SEARCH") for step in plan), plan


def test_events_of_an_older_version_are_known_and_replayed() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    SaleTables.migrations.apply(Database(db), stop_before="events_as_they_come")
    said = [event("item.added", 1, shelf=shelf(250, 250)), event("item.added", 3)]
    for one, turn in zip(said, (1, None), strict=True):
        body = to_json(one._asdict()).decode()
        at, received_at = one.at.isoformat(), one.received_at.isoformat()
        row = (one.terminal, one.seq, one.event_id, one.digest, at, received_at, one.kind, one.basket, turn, 0, body)
        db.execute("INSERT INTO till_event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.execute("INSERT INTO till_terminal (terminal, ack, turn) VALUES ('sco-1', 1, 1)")
    SaleTables.migrations.apply(Database(db))
    kept = load(db)
    assert kept.replay["sco-1"] == [Replayed(1, "B1", said[0], late=False)]
    assert (kept.logs["sco-1"].waiting, [one.seq for one in kept.logs["sco-1"].seen]) == ([said[1]], [1, 3])
