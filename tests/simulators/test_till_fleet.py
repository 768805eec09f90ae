"""Tills from end to end against a small gateway, in virtual time: baskets, outages, deaths, and no event lost."""

import asyncio
from random import Random

import pytest

from drivers.simulators._till_shopper import (
    Assist,
    Fail,
    Leave,
    Pay,
    Recount,
    Scan,
    Shopper,
    Void,
    last_item,
    random_shopper,
)
from drivers.simulators.till import Article, TillConfig, TillFleet
from tests.simulators.till_gateway import APPLES, BREAD, MILK, WINE, DirectLink, Gateway, no_loss_no_repeat
from tests.virtual_time import VirtualClock, run

ARTICLES = (Article(MILK, weight_mg=1_040_000), Article(BREAD), Article(APPLES, by_weight=True), Article(WINE))
DAY_S = 86_400.0


def shoppers(count: int, seed: int = 1, every_s: float = 60.0) -> list[Shopper]:
    rng = Random(seed)
    return [random_shopper(rng, ARTICLES, every_s) for _ in range(count)]


def play(gateway: Gateway, queues: dict, script=(), *, mode="fallback", seed=0, link=DirectLink, act=None) -> TillFleet:
    """Serve all shoppers; `act(fleet)` runs beside them."""

    async def main() -> TillFleet:
        links = {terminal: link(gateway) for terminal in queues}
        fleet = TillFleet(links, TillConfig(ARTICLES, mode, seed), queues, VirtualClock().now)
        beside = asyncio.create_task(act(fleet)) if act else None
        await fleet.run(script)
        if beside:
            await beside
        return fleet

    return run(main)


def types(fleet: TillFleet, terminal: str = "sco-1") -> list[str]:
    return [event.type for event in fleet.tills[terminal].log.events]


def test_a_basket_becomes_its_events_and_its_truth() -> None:
    gateway = Gateway()
    steps = (
        Scan(MILK[1:], quantity=2, bag_mg=2_080_000),
        Scan(BREAD[1:]),
        Scan(APPLES[1:], weight_mg=333_000),
        Scan(WINE[1:]),
        Void(4),
        Recount(2, 3),
        Assist("help"),
        Fail(),
        Pay((("voucher", 500), ("cash", 10_000))),
    )
    fleet = play(gateway, {"sco-1": [Shopper(steps)]})
    assert types(fleet) == [
        "terminal.status",
        "session.opened",
        "basket.opened",
        "item.added",
        "bag.weight",
        "item.added",
        "produce.weighed",
        "item.added",
        "item.added",
        "item.voided",
        "item.quantity_changed",
        "assist.raised",
        "assist.cleared",
        "payment.started",
        "payment.failed",
        "payment.started",
        "payment.succeeded",
        "payment.succeeded",
        "payment.succeeded",
        "basket.closed",
        "session.closed",
    ]
    lines = [(one.gtin, one.quantity, one.unit_price_minor, one.amount_minor) for one in fleet.ledger.lines]
    assert lines == [(MILK, 2, 1290, 2580), (BREAD, 3, 450, 1350), (APPLES, 1, 899, 299)]
    paid = [one.data for one in fleet.tills["sco-1"].log.events if one.type == "payment.succeeded"]
    assert [(one["tender"], one["amount_minor"]) for one in paid] == [
        ("voucher", 500),
        ("cash", 10_000),
        ("cash", 4229 - 500 - 10_000),
    ]
    assert fleet.ledger.sums() == {"sco-1": 4229}
    no_loss_no_repeat(gateway, "sco-1", fleet.tills["sco-1"].log.events)


def test_what_is_given_back_is_negative_and_paid_out() -> None:
    fleet = play(Gateway(), {"sco-1": [Shopper((Scan(WINE[1:], returned=True), Pay()))]})
    assert fleet.ledger.sums() == {"sco-1": -5990}
    paid = [one.data["amount_minor"] for one in fleet.tills["sco-1"].log.events if one.type == "payment.succeeded"]
    assert paid == [-5990]


@pytest.mark.parametrize(
    ("steps", "end"),
    [
        ((Scan(MILK[1:]), Leave("changed my mind")), "changed my mind"),
        ((Scan(MILK[1:]),), "left"),
        ((Scan("4999999999999"), Pay()), "nothing to pay"),
        ((Scan(MILK[1:]), Void(1), Pay()), "nothing to pay"),
    ],
)
def test_a_basket_can_end_without_a_payment(steps, end) -> None:
    fleet = play(Gateway(), {"sco-1": [Shopper(steps)]})
    left = [one for one in fleet.tills["sco-1"].log.events if one.type == "basket.abandoned"]
    assert [one.data["reason"] for one in left] == [end]
    assert fleet.ledger.lines == []


@pytest.mark.parametrize(("new", "charged"), [(990, 990), (1490, 1290)])
def test_open_lines_are_priced_down_at_payment_and_never_up(new, charged) -> None:
    gateway = Gateway()

    async def act(_fleet: TillFleet) -> None:
        await asyncio.sleep(4.0)
        gateway.charge(MILK, new)

    fleet = play(gateway, {"sco-1": [Shopper((Scan(MILK[1:], quantity=2), Scan(BREAD[1:]), Pay()))]}, act=act)
    line = fleet.ledger.lines[0]
    assert (line.scanned_minor, line.unit_price_minor, line.amount_minor) == (1290, charged, 2 * charged)
    assert ("item.repriced" in types(fleet)) is (charged < 1290)


def test_two_tills_sell_the_last_piece() -> None:
    gateway = Gateway()
    one, two = last_item(ARTICLES[3])
    fleet = play(gateway, {"sco-1": [one], "sco-2": [two]})
    assert [line.gtin for line in fleet.ledger.lines] == [WINE, WINE]
    assert abs((fleet.ledger.lines[0].scanned_at - fleet.ledger.lines[1].scanned_at).total_seconds()) < 0.1


def test_the_same_seed_gives_the_same_events() -> None:
    def once(seed: int) -> list[dict]:
        fleet = play(Gateway(), {"sco-1": shoppers(20, seed), "sco-2": shoppers(20, seed + 1)}, seed=seed)
        return [event.wire() for till in fleet.tills.values() for event in till.log.events]

    assert once(3) == once(3)
    assert once(3) != once(4)


def test_a_fleet_draws_its_own_shoppers_for_ever() -> None:
    gateway = Gateway()

    async def main() -> TillFleet:
        config = TillConfig(ARTICLES, seed=5)
        fleet = TillFleet({"sco-1": DirectLink(gateway)}, config, utc=VirtualClock().now)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(DAY_S / 8):
                await fleet.run()
        return fleet

    fleet = run(main)
    assert fleet.ledger.baskets > 50
    assert len({line.basket for line in fleet.ledger.lines}) == fleet.ledger.baskets


@pytest.mark.parametrize("stale", [False, True])
def test_72_hours_offline_resume_without_loss_or_repeat(stale) -> None:
    gateway = Gateway()
    script = [{"at_s": 600.0, "fault": "offline", "seconds": 3 * DAY_S}]
    script += [{"at_s": 0.0, "fault": "stale_cache"}] if stale else []
    queue = shoppers(420, every_s=700.0)
    fleet = play(gateway, {"sco-1": queue}, script)
    till = fleet.tills["sco-1"]
    spread_s = (till.log.events[-1].true_at - till.log.events[0].true_at).total_seconds()
    assert spread_s > 3 * DAY_S
    no_loss_no_repeat(gateway, "sco-1", till.log.events)
    assert len(till.log.events) > 3000
    assert bool(fleet.ledger.beyond_lease()) is stale


def test_it_takes_few_requests_to_catch_up() -> None:
    gateway = Gateway()
    play(gateway, {"sco-1": shoppers(300)}, [{"at_s": 10.0, "fault": "offline", "seconds": DAY_S / 2}])
    first = next(at for at, (_, path) in enumerate(gateway.log) if path.endswith("/events"))
    posts = [one for one in gateway.log[first:] if one[1].endswith("/events")]
    assert len(posts) < len(gateway.taken)


def test_a_gateway_that_forgot_is_told_again() -> None:
    gateway = Gateway()

    async def act(fleet: TillFleet) -> None:
        await asyncio.sleep(600.0)
        gateway.forget("sco-1", 20, fleet.tills["sco-1"].log.ack_seq)
        fleet.faults.offline(30.0)

    fleet = play(gateway, {"sco-1": shoppers(30)}, act=act)
    no_loss_no_repeat(gateway, "sco-1", fleet.tills["sco-1"].log.events)
    assert fleet.tills["sco-1"].log.passed_over == []


def test_a_new_till_counts_on_where_the_old_one_ended() -> None:
    gateway = Gateway()
    first = play(gateway, {"sco-1": shoppers(3)}, seed=1).tills["sco-1"].log
    second = play(gateway, {"sco-1": shoppers(3)}, seed=2).tills["sco-1"].log
    assert second.first_seq == first.next_seq
    assert len(gateway.taken) == len(first.events) + len(second.events)
