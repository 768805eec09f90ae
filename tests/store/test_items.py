"""The tables of items in the real store: a restart gives presence back; of a sold item that left no byte stays."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from gateway import messages as m
from gateway.rules.items import Items, Policy
from gateway.store.apply_items import ItemTables, load
from gateway.store.apply_prices import PriceTables
from gateway.tag_notes import CreditKept, KeptItems, TagKept, TagsForgotten
from tests.rules.items_kit import AT, EPC, SHIRT, SHOP, Floor, epc, gtin_of, of, request, sale
from tests.store.store_kit import crashed, opened


async def test_a_kill_gives_items_back_as_they_were(tmp_path: Path) -> None:
    floor = Floor()
    floor.stocked(*(epc(n) for n in range(5)))
    floor.live(900)
    floor.stocked(epc(0), antenna="front:3")
    floor.feed(sale(gtin=SHIRT, pieces=2))
    floor.feed(sale(epc(1)))
    async with opened(tmp_path / "a.db", projections=[ItemTables(), PriceTables()]) as store:
        await store.append(floor.all)
        copy = crashed(tmp_path / "a.db", tmp_path / "after")
    async with opened(copy, projections=[ItemTables(), PriceTables()]) as store:
        kept = await store.write(load)
    rule = Items(Policy(), SHOP, kept, gtin_of)
    assert {one[:4] for one in rule.items()} == {one[:4] for one in floor.rule.items()}
    assert dict(rule.stock()) == dict(floor.rule.stock()) == {(SHIRT, "wall"): 1}
    assert [pieces for pieces, _ in kept.credits[SHIRT]] == [2]


async def test_products_and_commands_come_from_the_tables_of_prices(tmp_path: Path) -> None:
    product = m.Product(gtin=SHIRT, name={"en": "Shirt"})
    update = m.ProductsUpdate(at=AT, source="hq", sequence=1, full=True, products=(product,))
    async with opened(tmp_path / "a.db", projections=[ItemTables(), PriceTables()]) as store:
        await store.append([update, request("forget_tag", 7)])
        kept = await store.write(load)
    assert (kept.products, kept.requests) == ([SHIRT], ["c7"])


def test_tables_without_those_of_prices_are_empty() -> None:
    assert load(Floor().db) == KeptItems(tags=[], products=[], requests=[])


def test_the_last_word_of_a_batch_counts() -> None:
    floor = Floor()
    floor.stocked(EPC)
    note = of(floor.all, TagKept)[-1]
    gone = TagsForgotten(at=AT, source="gateway", epcs=(EPC,))
    for batch, rows in ([note, gone], 0), ([gone, note], 1):
        floor.tables.apply(floor.db, batch)
        assert floor.db.execute("SELECT count(*) FROM tag").fetchone() == (rows,)
    credit = {"at": AT, "source": "gateway", "gtin": SHIRT}
    floor.tables.apply(floor.db, [CreditKept(credits=((1, 5),), **credit), CreditKept(credits=(), **credit)])
    assert load(floor.db).credits == {}


def test_no_byte_of_a_sold_item_that_left_stays_in_the_file(tmp_path: Path) -> None:
    """Among a thousand others that come and go, so that pages split, merge and are freed."""
    floor = Floor(path=str(tmp_path / "a.db"))
    others = [epc(n) for n in range(1000, 2000)]
    floor.read(EPC, "front:1", seen=2)
    for one in others:
        floor.read(one, "front:1", seen=2)
    floor.feed(sale(EPC))
    for one in others[::2]:
        floor.feed(request("forget_tag", int(one[-6:], 16), epc=one))
    floor.walk_out(EPC)
    floor.wait(3)
    floor.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert others[1].encode() in stored  # the search would find one
    assert EPC.encode() not in stored
    assert others[0].encode() not in stored


def test_a_sold_item_that_nobody_saw_leave_is_forgotten_when_its_time_is_over() -> None:
    floor = Floor(Policy(sold_for_s=3600))
    floor.stocked(EPC)
    floor.feed(sale(EPC, at=floor.now))
    floor.feed(sale(gtin=SHIRT, pieces=1, at=floor.now))
    floor.live(3500, step_s=20)
    floor.tick()
    assert floor.db.execute("SELECT count(*) FROM tag").fetchone() == (1,)
    floor.now += timedelta(seconds=800)
    floor.tick()
    assert floor.db.execute("SELECT (SELECT count(*) FROM tag), (SELECT count(*) FROM sold_credit)").fetchone() == (
        0,
        0,
    )


def test_a_write_that_fails_leaves_the_connection_as_it_was() -> None:
    floor = Floor()
    floor.stocked(EPC)
    note = of(floor.all, TagKept)[-1]
    floor.db.execute("DROP TABLE tag")
    with pytest.raises(sqlite3.OperationalError):
        floor.tables.apply(floor.db, [note])
    assert floor.db.execute("PRAGMA secure_delete").fetchone() == (0,)
