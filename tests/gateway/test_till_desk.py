"""The desk before real store and rules: answers, leases, events with evidence, acknowledgement after the commit."""

import asyncio
import sqlite3
from datetime import timedelta

import pytest

from gateway import messages as m
from gateway.codes import CodeTemplate
from gateway.errors import NotForSale, Refused, StoreError
from gateway.prices.answers import Upstream
from gateway.store.proof import prove
from tests.gateway.desk_rig import APPLE, CHEESE, START, DeskRig, added, event

WEIGHED = CodeTemplate(prefix="21", layout="PPIIIIIWWWWWC")


@pytest.fixture
async def rig(tmp_path):
    async with DeskRig(tmp_path, templates=[WEIGHED]) as rig:
        await rig.stock_up()
        await rig.prices(apple=1290, pear=500, cheese=2000)
        yield rig


async def test_an_answer_has_the_price_that_the_switch_allows(rig):
    answer = rig.desk.look_up("6901234567892")
    assert (answer.gtin, answer.price_minor, answer.amount_minor, answer.currency) == (APPLE, 1290, 1290, "CNY")
    assert (answer.label_pending, answer.labels, answer.wave) == (True, "pending", "w1")
    assert await rig.show(1290, 1)
    answer = rig.desk.look_up("6901234567892")
    assert (answer.label_pending, answer.labels) == (False, "proven")
    await rig.prices(apple=1500)
    answer = rig.desk.look_up("6901234567892")
    assert (answer.price_minor, answer.label_pending, answer.labels) == (1290, True, "pending")
    assert await rig.show(1500, 2)
    assert rig.desk.look_up("6901234567892").price_minor == 1500


async def test_a_weighed_code_gives_the_amount_rounded_half_up(rig):
    answer = rig.desk.look_up("2112345003153")
    assert (answer.gtin, answer.weight_mg, answer.price_minor, answer.amount_minor) == (CHEESE, 315_000, 2000, 630)
    await rig.prices(cheese=1010)
    assert rig.desk.look_up("2112345000503").amount_minor == 51  # 50 g of 10.10 are 0.505


async def test_what_must_be_looked_at_comes_with_the_answer(rig):
    answer = rig.desk.look_up("4006381333931")
    assert answer.restrictions == m.Restrictions(minimum_age=18, recalled=True)
    assert rig.desk.look_up("6901234567892").expected_weight.mean_mg >= 1_000_000


async def test_a_price_is_called_stale_when_head_office_is_away(rig):
    assert not rig.desk.look_up("6901234567892").stale
    rig.upstream = Upstream(7200, stale=True)
    answer = rig.desk.look_up("6901234567892")
    assert (answer.stale, answer.upstream_age_s) == (True, 7200)


@pytest.mark.parametrize(
    ("scan", "error", "reason"),
    [
        ("6901234567893", Refused, "check digit"),
        ("0000000000017", NotForSale, "no product"),
        ("", Refused, "nothing was read"),
        ("x" * 3000, Refused, "at most 2048"),
    ],
)
async def test_what_cannot_be_sold_is_said_with_the_reason(rig, scan, error, reason):
    with pytest.raises(error, match=reason):
        rig.desk.look_up(scan)


async def test_a_product_without_a_price_is_not_for_sale(rig):
    await rig.core.submit(
        m.ProductsUpdate(
            at=START,
            source="hq",
            sequence=2,
            full=False,
            products=(m.Product(gtin="00012345678905", name={"en": "Plum"}),),
        )
    )
    with pytest.raises(NotForSale, match="no price"):
        rig.desk.look_up("012345678905")


async def test_the_feed_wakes_who_waits_for_it(rig):
    version = rig.desk.version
    waiting = [asyncio.create_task(rig.desk.wait_beyond(version)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # a till that leaves takes nothing from the others
    await rig.prices(apple=990)
    newer = await asyncio.gather(*waiting[1:])
    assert set(newer) == {rig.desk.version}
    assert [(c.gtin, c.price_minor) for c in rig.desk.changes(version)] == [(APPLE, 990)]


async def test_a_lease_holds_the_glass_and_an_acknowledgement_lets_it_go(rig):
    assert await rig.show(1290, 1)
    assert (await rig.desk.lease("tills", "sco-1", rig.desk.version)).lease_s == 900
    await rig.prices(apple=990)
    assert rig.desk.look_up("6901234567892").price_minor == 990  # who asks per scan has it at once
    assert not await rig.show(990, 2)
    await rig.desk.lease("tills", "sco-1", rig.desk.version)
    assert await rig.show(990, 2)


async def test_a_lease_survives_a_restart(rig):
    assert await rig.show(1290, 1)
    await rig.desk.lease("tills", "sco-1", rig.desk.version)
    await rig.prices(apple=990)
    await rig.restart()
    assert not await rig.show(990, 2)
    await rig.desk.lease("tills", "sco-1", rig.desk.version)
    assert await rig.show(990, 2)


async def test_events_are_kept_once_and_acknowledged_from_the_disk(rig):
    events = [event(1, "basket.opened"), added(2, 1, APPLE, 1290), event(4, "basket.closed")]
    assert [o.result for o in await rig.desk.take("tills", "sco-1", events)] == ["accepted"] * 3
    assert rig.desk.ack_seq("sco-1") == 2
    assert [o.result for o in await rig.desk.take("tills", "sco-1", events[:2])] == ["duplicate"] * 2
    other = [added(2, 1, APPLE, 1)]
    assert [o.result for o in await rig.desk.take("tills", "sco-1", other)] == ["conflict"]
    await rig.restart()
    assert rig.desk.ack_seq("sco-1") == 2
    assert rig.desk.ack_seq("sco-9") == 0


async def test_what_waits_for_the_disk_is_not_acknowledged_yet(rig):
    await rig.restart()
    leave = asyncio.Event()
    whole = rig.store.append

    async def slow(messages):
        await leave.wait()
        await whole(messages)

    rig.store.append = slow
    taking = asyncio.create_task(rig.desk.take("tills", "sco-1", [event(1, "basket.opened")]))
    await asyncio.sleep(0.05)
    assert rig.desk.ack_seq("sco-1") == 0
    leave.set()
    assert [outcome.result for outcome in await taking] == ["accepted"]
    assert rig.desk.ack_seq("sco-1") == 1


async def sell(rig, price, at, seq=1, basket="b-1", **more):
    paid = {"amount_minor": price, "currency": "CNY", "tender": "cash"}
    events = [
        event(seq, "basket.opened", basket, at),
        added(seq + 1, 1, APPLE, price, at, basket=basket, **more),
        event(seq + 2, "payment.succeeded", basket, at, **paid),
        event(seq + 3, "basket.closed", basket, at),
    ]
    return await rig.desk.take("tills", "sco-1", events)


async def test_a_sale_line_says_what_the_labels_showed_and_which_wave_it_was(rig):
    assert await rig.show(1290, 1)
    rig.pass_s(5)
    await sell(rig, 1290, rig.time)
    (line,) = rig.of(m.SaleLine)
    assert (line.unit_price_minor, line.wave, line.pending, line.shelf.lowest_minor) == (1290, "w1", False, 1290)
    assert [face.state for face in line.shelf.faces] == ["proven"]
    assert rig.of(m.PriceMismatch) == []
    assert rig.of(m.SaleBasket)[0].amount_minor == 1290


async def test_a_line_above_the_shelf_is_a_mismatch_with_both_proofs(rig):
    assert await rig.show(1290, 1)
    await sell(rig, 1500, rig.time)
    (wrong,) = rig.of(m.PriceMismatch)
    assert (wrong.direction, wrong.charged_minor, wrong.shown_minor) == ("over", 1500, 1290)
    assert wrong.shelf.charged_minor == 1290


async def test_a_sale_that_is_told_days_later_is_held_against_the_shelf_of_its_own_time(rig):
    assert await rig.show(1290, 1)
    then = rig.time
    rig.pass_s(10)
    await rig.prices(apple=990)
    assert await rig.show(990, 2)
    rig.pass_s(3 * 24 * 3600)
    await rig.restart()
    await sell(rig, 1290, then, from_cache=True)
    assert rig.of(m.PriceMismatch) == []
    (line,) = rig.of(m.SaleLine)
    assert (line.shelf.lowest_minor, line.shelf.basis) == (1290, "journal")
    await sell(rig, 1290, rig.time, seq=5, basket="b-2", from_cache=True)
    assert [wrong.direction for wrong in rig.of(m.PriceMismatch)] == ["over"]


async def test_a_clock_that_is_wrong_is_known_by_what_it_says_when_it_sends(rig):
    assert await rig.show(1290, 1)
    then = rig.time
    rig.pass_s(60)
    await rig.prices(apple=990)
    assert await rig.show(990, 2)
    events = [event(1, "basket.opened"), added(2, 1, APPLE, 1290, then)]
    await rig.desk.take("tills", "sco-1", events, sent_at=then)  # it charges now, by a clock that is a minute behind
    assert [wrong.direction for wrong in rig.of(m.PriceMismatch)] == ["over"]
    rig.pass_s(1)
    await rig.desk.take("tills", "sco-1", [added(3, 2, APPLE, 990, rig.time + timedelta(hours=5))])
    assert len(rig.of(m.PriceMismatch)) == 1


@pytest.mark.parametrize("error", [StoreError("the query took longer than 10 s"), sqlite3.OperationalError("disk I/O")])
async def test_events_are_taken_when_the_journal_cannot_be_read(rig, monkeypatch, caplog, error):
    async def fails(_function):
        raise error

    assert await rig.show(1290, 1)
    then = rig.time
    rig.pass_s(3600)
    monkeypatch.setattr(rig.desk._evidence, "_read", fails)
    assert [one.result for one in await sell(rig, 1500, then)] == ["accepted"] * 4
    await sell(rig, 1500, then, seq=5, basket="b-2")
    first, second = rig.of(m.SaleLine)
    assert (first.shelf.basis, first.shelf.at, first.shelf.lowest_minor) == ("unknown", then, None)
    assert second.shelf == first.shelf
    assert rig.of(m.PriceMismatch) == []  # nothing is known, so nobody is accused
    assert [record.levelname for record in caplog.records if record.name == "gateway.till_evidence"] == ["WARNING"]
    monkeypatch.undo()
    await sell(rig, 1290, then, seq=9, basket="b-3")
    assert rig.of(m.SaleLine)[2].shelf.lowest_minor == 1290
    monkeypatch.setattr(rig.desk._evidence, "_read", fails)
    await sell(rig, 1290, then, seq=13, basket="b-4")
    assert len([record for record in caplog.records if record.name == "gateway.till_evidence"]) == 2


async def test_a_sale_by_a_wrong_clock_stands_in_the_journal_where_its_evidence_was_taken(rig):
    assert await rig.show(1290, 1)
    behind = rig.time
    rig.pass_s(600)
    await rig.prices(apple=1500)
    assert await rig.show(1500, 2)
    rig.pass_s(5)
    paid = event(3, "payment.succeeded", at=behind, amount_minor=1500, currency="CNY", tender="cash")
    events = [event(1, "basket.opened", at=behind), added(2, 1, APPLE, 1500, behind), paid]
    await rig.desk.take("tills", "sco-1", [*events, event(4, "basket.closed", at=behind)], sent_at=behind)
    assert rig.of(m.PriceMismatch) == []
    proofs = [await rig.store.read(lambda db, at=at: prove(db, APPLE, at, "UTC")) for at in (behind, rig.time)]
    assert [([line.price_minor for line in proof.sold], proof.fair) for proof in proofs] == [([], True), ([1500], True)]
