"""Minutes of terminals: busy seconds, baskets, lines, queues; told once, also over restarts; silent without events."""

from datetime import timedelta
from typing import Any

import pytest

from gateway import messages as m
from gateway.sale_notes import TerminalKept
from gateway.store.apply_sales import load
from tests.rules.sales_kit import AT, Shop, event, of


def said(shop: Shop, *events: tuple[float, str, dict[str, Any]]) -> None:
    """Let the terminal say these, each at its second after ten."""
    for at_s, kind, data in events:
        shop.seq = getattr(shop, "seq", 0) + 1
        shop.feed(event(kind, shop.seq, "B1", at=AT + timedelta(seconds=at_s), **data))


def minutes(shop: Shop) -> list[tuple[int, int, int, int, int]]:
    """Return (minute after ten, busy seconds, baskets, abandoned, lines) of all that was told."""
    return [
        (int((one.at - AT).total_seconds()) // 60, one.busy_s, one.baskets, one.abandoned, one.lines)
        for one in of(shop.all, m.TerminalMinute)
    ]


SHOPPING = ((10, "basket.opened", {}), (20, "item.added", {}), (50, "payment.succeeded", {"amount_minor": 250}))


def test_a_minute_is_told_when_a_later_one_began_or_the_terminal_rests() -> None:
    shop = Shop()
    said(shop, *SHOPPING, (70, "basket.closed", {}))
    shop.tick(seconds=100)
    assert minutes(shop) == [(0, 50, 0, 0, 1)]
    shop.tick(seconds=189)
    assert len(minutes(shop)) == 1
    shop.tick(seconds=190)
    assert minutes(shop) == [(0, 50, 0, 0, 1), (1, 10, 1, 0, 0)]
    shop.tick(hours=5)
    assert len(minutes(shop)) == 2


def test_a_shopper_who_thinks_is_busy_and_one_who_left_is_not() -> None:
    shop = Shop()
    said(shop, *SHOPPING[:2])
    shop.tick(seconds=200)
    assert minutes(shop) == []
    said(shop, (190, "item.added", {"line": 2}))
    shop.tick(seconds=200)
    assert minutes(shop) == [(0, 50, 0, 0, 1), (1, 60, 0, 0, 0), (2, 60, 0, 0, 0)]
    shop.tick(seconds=190 + 1800)
    assert minutes(shop)[3:] == [(3, 10, 0, 1, 1)]


@pytest.mark.parametrize("restart_after", range(6))
def test_a_restart_changes_no_minute(restart_after: int) -> None:
    shop = Shop()
    steps = [(10, "basket.opened"), (70, "item.added"), (75, "item.added"), (100, "basket.abandoned"), (400, "strange")]
    for number, (at_s, kind) in enumerate(steps):
        if number == restart_after:
            shop.restart()
        said(shop, (at_s, kind, {}))
        shop.tick(seconds=at_s + 1)
    if restart_after == len(steps):
        shop.restart()
    shop.tick(hours=1)
    assert minutes(shop) == [(0, 50, 0, 0, 0), (1, 40, 0, 1, 2), (6, 0, 0, 0, 0)]


def test_the_queue_is_told_as_far_as_the_till_knows_it() -> None:
    shop = Shop()
    status = "terminal.status"
    said(
        shop,
        (5, "item.added", {}),
        (65, status, {"state": "busy", "queue": 3}),
        (80, status, {"state": "busy", "queue": 0}),
    )
    said(shop, (130, "basket.closed", {}))
    shop.tick(hours=1)
    told = [(one.queue_max, one.wait_s) for one in of(shop.all, m.TerminalMinute)]
    assert told == [(None, None), (3, 15), (0, 0)]


def test_days_that_come_at_once_are_told_by_their_own_time() -> None:
    shop = Shop()
    for day in (3, 2, 1):
        at = AT - timedelta(days=day)
        shop.seq = getattr(shop, "seq", 0) + 2
        common: dict[str, Any] = {"received_at": AT}
        shop.feed(event("item.added", shop.seq - 1, at=at, **common))
        shop.feed(event("basket.closed", shop.seq, at=at + timedelta(seconds=30), **common))
    shop.tick(minutes=3)
    assert minutes(shop) == [(-day * 1440, 30, 1, 0, 1) for day in (3, 2, 1)]


def test_a_clock_far_ahead_is_not_measured_and_stops_nothing() -> None:
    shop = Shop()
    shop.feed(event("item.added", 1, at=AT + timedelta(days=400), received_at=AT))
    shop.feed(event("item.added", 2, at=AT + timedelta(seconds=5)))
    shop.tick(hours=1)
    assert minutes(shop) == [(0, 0, 0, 1, 1)]


def test_a_terminal_whose_clock_is_far_ahead_is_kept_every_hour_and_not_replayed() -> None:
    shop = Shop()
    for minute in range(180):
        came = AT + timedelta(minutes=minute)
        shop.feed(event("bag.weight", minute + 1, None, at=came + timedelta(hours=2), received_at=came, weight_mg=1))
        shop.tick(came)
        if minute % 50 == 0:
            shop.restart()
    assert [one.turn for one in of(shop.all, TerminalKept)] == [61, 121]
    assert [one.turn for one in load(shop.db).replay["sco-1"]] == [*range(122, 181)]
    shop.tick(days=1)
    assert len(load(shop.db).replay["sco-1"]) == 1
    assert of(shop.tick(days=2), TerminalKept) == []


def test_a_terminal_without_events_says_nothing() -> None:
    shop = Shop()
    assert of(shop.tick(hours=3), m.TerminalMinute) == []
