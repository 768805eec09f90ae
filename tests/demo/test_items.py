"""The demo's items: thefts and alarms beside the truth; broken promises are named, a silent radio is a figure."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.demo.items import HEARD_AGAIN_S, Items, breaches, figures
from gateway.hq.wire import Event

AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
LATER = AT + timedelta(seconds=HEARD_AGAIN_S + 10)
A, B, C = ("30" + "0" * 21 + one for one in "123")


def event(kind: str, seconds: float = 0, /, **data: Any) -> Event:
    return Event(
        id=f"{kind}{data}{seconds}",
        store="demo",
        gateway="gw1",
        device="rfid-door",
        stream="telemetry",
        type=kind,
        at=AT + timedelta(seconds=seconds),
        sequence=1,
        cause=None,
        data=data,
        raw={},
    )


def shop(*stolen: str, sold: tuple[str, ...] = ()) -> Items:
    items = Items(stolen=set(stolen), sold=set(sold))
    for epc in (A, B, C):
        items.feed(event("tag.arrived", epc=epc, zone="floor-1"))
    gone = {"zone": None, "left": (AT + timedelta(seconds=5)).isoformat()}
    items.truth = {
        epc: gone if epc in items.stolen | items.sold else {"zone": "floor-1", "left": None} for epc in (A, B, C)
    }
    return items


def test_a_theft_with_its_alarm_is_well_and_its_delay_is_told() -> None:
    items = shop(A)
    items.feed(event("exit.alarm", 7.5, epc=A))
    assert breaches(items, LATER) == []
    found = figures(items, LATER)
    assert (found["items_stolen"], found["thefts_without_alarm"], found["alarm_after_the_sill_max_s"]) == (1, 0, 2.5)
    assert found["items_in_right_zone_percent"] == 100.0


def test_an_alarm_for_a_sold_item_is_a_broken_promise() -> None:
    items = shop(sold=(A,))
    items.feed(event("exit.alarm", 7, epc=A))
    assert breaches(items, LATER) == [f"item {A} was sold and gave an alarm at the door"]


def test_thefts_that_nobody_heard_are_counted_once_there_was_time_and_named_when_many() -> None:
    items = shop(A)
    assert figures(items, AT + timedelta(seconds=10))["thefts_without_alarm"] == 0
    assert figures(items, LATER)["thefts_without_alarm"] == 1
    assert breaches(items, LATER) == ["1 of 1 thefts gave no alarm"]


def test_an_alarm_for_what_nobody_carried_out_is_a_figure() -> None:
    items = shop()
    items.feed(event("exit.alarm", 7, epc=B))
    assert figures(items, LATER)["alarms_for_items_inside"] == 1
    assert breaches(items, LATER) == []


def test_an_item_believed_elsewhere_is_not_in_its_right_zone() -> None:
    items = shop()
    items.feed(event("tag.moved", 1, epc=A, zone="backroom"))
    items.feed(event("tag.absent", 2, epc=B))
    assert figures(items, LATER)["items_in_right_zone_percent"] == 50.0


def test_pieces_that_tills_sell_are_to_be_carried_out_but_weighed_goods_and_returns_are_not() -> None:
    items = Items()
    line = {"kind": "sale", "gtin": "06901234567892", "weight_mg": None, "quantity_thousandths": 2000}
    items.feed(event("sale.line", **line))
    items.feed(event("sale.line", 1, **line | {"kind": "return"}))
    items.feed(event("sale.line", 2, **line | {"weight_mg": 350_000}))
    assert list(items.to_sell) == [("06901234567892", 2)]
