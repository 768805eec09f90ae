"""Counts: what is found, missing, unexpected; how sure; that they go on after any stop, and end once."""

import sqlite3
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from gateway import messages as m
from gateway.count_notes import CountClosed, KeptCount
from gateway.rules.count_result import Known, gone_when_unheard
from gateway.rules.count_schedule import CountPlan
from gateway.rules.count_session import CountSession, Heard, estimate
from gateway.rules.zones import Zone, Zones
from gateway.store.apply_counts import CountTables
from gateway.tag_notes import TagsForgotten
from tests.rules.count_kit import AT, ZONES, Shop, epc, gtin_of

NIGHT = CountPlan(id="night", at="03:00")


def full_shop(items: int = 40, plans: tuple[CountPlan, ...] = ()) -> Shop:
    """Half of the items on the floor, half in the back room; products 1 to 4."""
    shop = Shop(plans)
    for n in range(items):
        shop.world.put(epc(1 + n % 4, n), "floor" if n % 2 else "back")
    return shop


def finished(shop: Shop) -> m.CountFinished:
    (fact,) = shop.facts(m.CountFinished)
    assert isinstance(fact, m.CountFinished)
    return fact


def rows(shop: Shop) -> dict[str | None, m.CountRow]:
    return {row.gtin: row for part in shop.facts(m.CountResult) for row in part.rows}


def test_a_count_tells_found_missing_and_unexpected_by_product() -> None:
    shop = full_shop()
    lost = [epc(1, 0), epc(1, 4), epc(2, 1)]
    for item in lost:
        del shop.world.real[item]
    shop.world.put(epc(3, 900), "floor", listed=False)
    shop.world.put("FF00112233445566", "back", listed=False)
    shop.order("count_start", session="c1")
    for _ in range(5):
        shop.sweep(Random(1), 1.0)
    shop.order("count_stop", session="c1")
    end = finished(shop)
    assert (end.expected, end.found, end.missing, end.unexpected, end.undecoded) == (40, 37, 3, 2, 1)
    assert end.coverage == 1.0
    found = rows(shop)
    assert found[gtin_of(epc(1, 0))][1:5] == (10, 8, 2, 0)
    assert found[gtin_of(epc(3, 0))][1:5] == (10, 10, 0, 1)
    assert found[None][1:5] == (0, 0, 0, 1)
    assert found[gtin_of(epc(1, 0))].confidence == 1.0  # all that is there was heard often: what was not is gone


def test_who_was_heard_seldom_may_just_be_hidden() -> None:
    shop = full_shop(400)
    shop.order("count_start", session="c1")
    random = Random(2)
    for _ in range(6):
        shop.sweep(random, 0.25)
    shop.order("count_stop", session="c1")
    end, (closed,) = finished(shop), [note for note in shop.all if isinstance(note, CountClosed)]
    truth = end.found / 400
    assert end.coverage == pytest.approx(truth, abs=0.1)
    assert all(row.confidence < 0.2 for row in rows(shop).values() if row.missing)
    assert closed.counted is None  # too little was heard to correct the stock by it


def test_the_more_was_heard_the_surer_a_missing_item_is_gone() -> None:
    sure = [gone_when_unheard(share) for share in (None, 0.5, 0.9, 0.99, 1.0)]
    assert sure == sorted(sure)
    assert sure[0] == pytest.approx(0.02)
    assert sure[-1] == 1.0


@pytest.mark.parametrize(("share", "slots"), [(0.2, 4), (0.2, 12), (0.4, 3), (0.7, 5), (0.95, 8)])
def test_the_estimate_is_right_on_average_however_well_items_are_heard(share: float, slots: int) -> None:
    random, errors = Random(7), []
    for _ in range(40):
        counts = [sum(random.random() < share for _ in range(slots)) for _ in range(300)]
        heard = [count for count in counts if count]
        found = estimate(Heard(len(heard), heard.count(1), heard.count(2)), slots)
        assert found is not None
        assert 0 < found <= 1
        errors.append(found - len(heard) / 300)
    assert sum(errors) / len(errors) == pytest.approx(0, abs=0.03)


def test_items_hard_to_hear_are_not_taken_for_heard() -> None:
    """Half of the items are heard in one slot of ten: the halves of a count would call 0.8 of them heard."""
    random = Random(5)
    share = [0.9 if n % 2 else 0.1 for n in range(2000)]
    counts = [sum(random.random() < one for _ in range(8)) for one in share]
    heard = [count for count in counts if count]
    found = estimate(Heard(len(heard), heard.count(1), heard.count(2)), 8)
    assert found == pytest.approx(len(heard) / 2000, abs=0.05)


def test_a_count_ends_by_itself_when_nothing_new_is_heard() -> None:
    shop = full_shop(200)
    shop.order("count_start", session="c1")
    random = Random(3)
    while not shop.facts(m.CountFinished):
        shop.sweep(random, 0.7)
        assert shop.at - AT < timedelta(minutes=10)
    assert finished(shop).ended == "complete"
    assert finished(shop).missing == 0


def test_a_count_that_nobody_stops_ends_when_its_time_is_up() -> None:
    shop = full_shop()
    shop.order("count_start", session="c1", minutes=2)
    for _ in range(13):
        shop.sweep(Random(1), 0.0)
    assert finished(shop).ended == "time_limit"
    assert finished(shop).missing == 40
    assert finished(shop).coverage is None


def test_an_item_that_is_heard_from_a_zone_next_door_is_not_unexpected() -> None:
    shop = full_shop()
    shop.world.put(epc(1, 77), "dock")
    shop.world.real[epc(1, 77)] = "floor"  # its tag is heard on the floor; it stands at goods in
    shop.order("count_start", session="c1", zones=["floor"])
    shop.sweep(Random(1), 1.0)
    shop.order("count_stop", session="c1")
    assert finished(shop).unexpected == 0
    assert finished(shop).expected == 20


def test_what_was_sold_while_it_was_counted_is_not_missing() -> None:
    shop = full_shop()
    shop.order("count_start", session="c1")
    sold = epc(1, 0)
    del shop.world.real[sold]
    shop.sweep(Random(1), 1.0)
    shop.world.listed[sold] = Known("back", in_stock=False)
    shop.order("count_stop", session="c1")
    assert (finished(shop).expected, finished(shop).missing) == (39, 0)


def test_only_a_count_of_all_zones_says_what_there_is() -> None:
    for zones, tells in ((["floor"], False), (["floor", "back"], True), ([], True)):
        shop = full_shop()
        shop.order("count_start", session="c1", zones=zones)
        for _ in range(4):
            shop.sweep(Random(1), 1.0)
        shop.order("count_stop", session="c1")
        (closed,) = [note for note in shop.all if isinstance(note, CountClosed)]
        assert (closed.counted is not None) is tells


def test_a_cancelled_count_finds_nothing_and_sets_nothing() -> None:
    shop = full_shop()
    shop.order("count_start", session="c1")
    shop.sweep(Random(1), 1.0)
    shop.order("count_cancel", session="c1")
    (closed,) = [note for note in shop.all if isinstance(note, CountClosed)]
    assert (finished(shop).ended, shop.facts(m.CountResult), closed.counted) == ("cancelled", [], None)


def test_a_delivery_is_held_against_its_document() -> None:
    shop = full_shop()
    for serial in range(5):
        shop.world.put(epc(1, 500 + serial), "dock", inbound=True)
    shop.world.put(epc(2, 600), "dock", inbound=True)
    lines = [{"gtin": gtin_of(epc(1, 0)), "quantity": 6}, {"gtin": gtin_of(epc(3, 0)), "quantity": 2}]
    shop.order("count_start", session="d1", kind="receiving", document="ASN-7", lines=lines)
    for _ in range(4):
        shop.sweep(Random(1), 1.0)
    shop.order("count_stop", session="d1")
    found = {gtin: row[1:5] for gtin, row in rows(shop).items()}
    assert found == {
        gtin_of(epc(1, 0)): (6, 5, 1, 0),
        gtin_of(epc(2, 0)): (0, 0, 0, 1),
        gtin_of(epc(3, 0)): (2, 0, 2, 0),
    }
    received = shop.facts(m.GoodsReceived)
    assert sorted((fact.gtin, len(fact.epcs), fact.document) for fact in received) == [
        (gtin_of(epc(1, 0)), 5, "ASN-7"),
        (gtin_of(epc(2, 0)), 1, "ASN-7"),
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.booleans(), min_size=3, max_size=8))
def test_a_count_goes_on_after_any_stop(seed: int, stops: list[bool]) -> None:
    """What was told in a progress fact is never less after a restart, and the result holds all that was written."""
    shop, random = full_shop(60), Random(seed)
    shop.order("count_start", session="c1")
    told = 0
    for stop in stops:
        shop.sweep(random, 0.6)
        if stop:
            shop.restart()
        progress = shop.facts(m.CountProgress)
        told = max(told, progress[-1].seen if progress else 0)
    heard = {read for (read,) in shop.db.execute("SELECT epc FROM count_item WHERE seen_zone IS NOT NULL")}
    shop.restart()
    shop.order("count_stop", session="c1")
    assert finished(shop).found >= told
    assert finished(shop).found == len(heard)
    assert finished(shop).expected == 60


def test_orders_that_come_again_change_nothing() -> None:
    shop = full_shop()
    for _ in range(2):
        shop.order("count_start", session="c1")
        shop.restart()
    shop.sweep(Random(1), 1.0)
    for _ in range(2):
        shop.order("count_stop", session="c1")
        shop.restart()
    shop.order("count_start", session="c1")
    assert len(shop.facts(m.CountStarted)) == len(shop.facts(m.CountFinished)) == 1
    assert len(shop.facts(m.CommandDone)) == 5


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("count_start", {"zones": ["attic"]}, "no zone 'attic'; there are: floor, back, dock, door"),
        ("count_start", {"zone": "floor"}, "args.zone: Extra inputs are not permitted"),
        ("count_start", {"minutes": 0}, "args.minutes"),
        ("count_start", {"lines": [{"gtin": "1", "quantity": 1}]}, "args.lines.0.gtin"),
        ("count_stop", {"session": "c9"}, "args.session must name a count that is open; open: none"),
        ("count_cancel", {}, "args.session must name a count that is open"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_the_reason(name: str, args: dict[str, Any], said: str) -> None:
    (refused,) = full_shop().order(name, **args)
    assert isinstance(refused, m.CommandRefused)
    assert said in refused.reason


def test_a_shop_without_goods_in_is_told_what_is_missing() -> None:
    shop = Shop(zones=Zones([Zone(id="floor", kind="floor", antennas=("r1:1",))]))
    (refused,) = shop.order("count_start", kind="receiving")
    assert isinstance(refused, m.CommandRefused)
    assert "a receiving needs one of kind goods_in" in refused.reason


def test_not_more_counts_than_a_shop_can_follow() -> None:
    shop = full_shop()
    for n in range(4):
        shop.order("count_start", session=f"c{n}")
    (refused,) = shop.order("count_start", session="c4")
    assert isinstance(refused, m.CommandRefused)
    assert "stop one first" in refused.reason


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        ("2026-11-21T18:59:59", False),  # 02:59:59 in Shanghai
        ("2026-11-21T19:00:00", True),
        ("2026-11-21T19:59:00", True),
        ("2026-11-21T20:00:00", False),  # too late: the shop will open
    ],
)
def test_a_planned_count_begins_once_in_the_shops_own_time(now: str, begins: bool) -> None:  # noqa: FBT001
    shop = full_shop(plans=(NIGHT,))
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    for _ in range(2):
        shop.feed(m.Tick(at=at, source="gateway"))
        shop.restart()
    assert [fact.session for fact in shop.facts(m.CountStarted)] == (["night-2026-11-22"] if begins else [])


def test_a_doubtful_clock_begins_no_count() -> None:
    shop = full_shop(plans=(NIGHT,))
    shop.feed(m.Tick(at=datetime(2026, 11, 21, 19, tzinfo=UTC), source="gateway", trusted=False))
    assert shop.facts(m.CountStarted) == []


READS = ((1, 1, -6600), (2, 1, -6400), (3, 9, -3000))


def test_reads_of_exits_and_weak_ones_do_not_count() -> None:
    zones = Zones([Zone(id="floor", kind="floor", antennas=("r1:1",), floor_dbm=-65)])
    opened = full_shop().order("count_start", session="c1")[0]
    session = CountSession(KeptCount(opened, []))  # type: ignore[arg-type]
    now_us = int(AT.timestamp() * 1e6)
    reads = tuple(m.TagRead(epc(1, n), antenna, now_us, power) for n, antenna, power in READS)
    session.hear(m.TagReads(at=AT, source="r1", reads=reads), zones.spots("r1"), gtin_of)
    assert list(session.seen) == [epc(1, 2)]
    door = (m.TagRead(epc(1, 3), 2, now_us, -3000),)
    session.hear(m.TagReads(at=AT, source="r2", reads=door), ZONES.spots("r2"), gtin_of)
    assert list(session.seen) == [epc(1, 2)]


def test_the_tables_keep_the_items_of_the_newest_counts_only() -> None:
    shop = full_shop(4)
    for n in range(23):
        shop.order("count_start", session=f"c{n}")
        shop.sweep(Random(1), 1.0)
        shop.order("count_stop", session=f"c{n}")
    assert shop.db.execute("SELECT count(DISTINCT number), min(number) FROM count_item").fetchone() == (20, 4)
    assert shop.db.execute("SELECT count(DISTINCT number) FROM count_row").fetchone() == (23,)
    CountTables.migrations.apply(Database(sqlite3.connect(":memory:")))  # as a new shop has them


def receive(shop: Shop, session: str) -> None:
    shop.order("count_start", session=session, kind="receiving", lines=[{"gtin": gtin_of(epc(1, 0)), "quantity": 2}])
    shop.sweep(Random(1), 1.0)


def test_a_delivery_counted_twice_is_received_once() -> None:
    shop = Shop()
    for serial in (1, 2):
        shop.world.put(epc(1, serial), "dock", inbound=True)
    receive(shop, "d1")
    shop.order("count_stop", session="d1")
    for serial in (1, 2):
        shop.world.listed[epc(1, serial)] = Known("dock", in_stock=True)  # as the rule of items hears it
    receive(shop, "d2")
    shop.order("count_stop", session="d2")
    assert [len(fact.epcs) for fact in shop.facts(m.GoodsReceived)] == [2]
    assert [row[1:5] for part in shop.facts(m.CountResult) for row in part.rows] == [(2, 2, 0, 0)] * 2


def test_goods_that_go_on_into_the_shop_while_they_are_counted_are_not_missing() -> None:
    shop = Shop()
    for serial in (1, 2):
        shop.world.put(epc(1, serial), "dock", inbound=True)
    receive(shop, "d1")
    shop.world.listed[epc(1, 1)] = Known("back", in_stock=True)
    shop.order("count_stop", session="d1")
    assert (finished(shop).found, finished(shop).missing) == (2, 0)
    assert [fact.epcs for fact in shop.facts(m.GoodsReceived)] == [(epc(1, 2),)]  # the other was told by the shop


def test_what_was_heard_and_then_sold_and_what_visitors_carry_is_not_counted() -> None:
    shop = full_shop(8)
    visitor = epc(2, 700)
    shop.world.put(visitor, "floor")
    shop.world.listed[visitor] = Known("", in_stock=False)
    shop.order("count_start", session="c1")
    for _ in range(4):
        shop.sweep(Random(1), 1.0)
    shop.world.listed[epc(1, 0)] = Known("back", in_stock=False)
    shop.order("count_stop", session="c1")
    (closed,) = [note for note in shop.all if isinstance(note, CountClosed)]
    assert closed.counted is not None
    assert sum(one.amount for one in closed.counted) == 7


def test_reads_from_before_the_count_that_a_reader_tells_late_do_not_count() -> None:
    shop = full_shop(2)
    shop.order("count_start", session="c1")
    old = m.TagRead(epc(1, 0), 2, int((AT - timedelta(minutes=5)).timestamp() * 1e6), -5000)
    shop.feed(m.TagReads(at=shop.at, source="r1", reads=(old,)))
    shop.order("count_stop", session="c1")
    assert finished(shop).found == 0


def test_no_count_remembers_an_item_that_was_sold_and_left() -> None:
    shop = full_shop(4)
    shop.order("count_start", session="c1")
    shop.sweep(Random(1), 1.0)
    shop.order("count_stop", session="c1")
    gone = TagsForgotten(at=AT, source="gateway", epcs=(epc(1, 0),))
    CountTables().apply(shop.db, [gone])
    assert shop.db.execute("SELECT count(*) FROM count_item").fetchone() == (3,)
