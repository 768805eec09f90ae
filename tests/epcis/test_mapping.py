"""Which facts become which step of business, and which become nothing."""

from datetime import timedelta

import pytest

from gateway import messages as m
from gateway.epcis.mapping import Steps
from tests.epcis.epcis_kit import AT, ZONES, arrived, epc, finished, left, moved, received, sold, written

STEPS = Steps(ZONES)
TABLE = [
    (arrived("floor"), [("stocking", "sellable_accessible", "zones/floor", ())]),
    (arrived("store-room"), [("storing", "sellable_not_accessible", "zones/store-room", ())]),
    (arrived("floor", back=True), [("stocking", "sellable_accessible", "zones/floor", ())]),
    (
        moved("floor", "store-room"),
        [("stocking", "sellable_accessible", "zones/floor", (("fromZone", "store-room"),))],
    ),
    (
        moved("store-room", "floor"),
        [("storing", "sellable_not_accessible", "zones/store-room", (("fromZone", "floor"),))],
    ),
    (received(1, document="DN 7"), [("receiving", "in_progress", "zones/dock", (("desadv", "DN 7"),))]),
    (received(1), [("receiving", "in_progress", "zones/dock", ())]),
    (sold(1), [("retail_selling", "retail_sold", "shop/tills", ())]),
    (sold(1, kind="return", amount_minor=-500), [("receiving", "returned", "shop/tills", ())]),
    (left(), [("entering_exiting", "unknown", "zones/door", (("alarm", "exit:1"),))]),
    (left(id=None), [("entering_exiting", "unknown", "zones/door", ())]),
    (written(source="till"), [("killing", "retail_sold", "zones/till", ())]),
    (written(source="back"), [("killing", None, "devices/back", ())]),
    (written(source="nobody"), [("killing", None, "devices/nobody", ())]),
]


@pytest.mark.parametrize(("fact", "steps"), TABLE)
def test_a_fact_is_a_step(fact: m.Fact, steps: list[tuple[object, ...]]) -> None:
    found = list(STEPS.observed(fact))
    assert [(one.step, one.disposition, one.place, one.context) for one in found] == steps
    assert [(one.epc, one.at) for one in found] == [(epc(1), AT)] * len(steps)


@pytest.mark.parametrize(
    "fact",
    [
        arrived("dock"),
        arrived("try-on"),
        arrived("till"),
        arrived("door"),
        arrived("nowhere"),
        moved("try-on", "floor"),
        moved("dock", "floor"),
        sold(),
        written("lock"),
        written("encode"),
        written(result="failed"),
        m.TagAbsent(at=AT, source="front", epc=epc(1), gtin=None, zone="floor", last_read_at=AT, silent_s=60),
        m.ExitCleared(at=AT, source=m.GATEWAY, alarm="exit:1", epc=epc(1), reason="sold"),
        finished(),
        m.TagReads(at=AT, source="front", reads=(m.TagRead(epc(1), 1, 0),)),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_what_is_no_event_is_nothing(fact: m.Message) -> None:
    assert list(STEPS.observed(fact)) == []


def test_the_vocabulary_allows_one_step_at_goods_in_or_two_others() -> None:
    two = Steps(ZONES, arrivals=True)
    assert [one.step for one in two.observed(arrived("dock"))] == ["arriving"]
    assert [one.step for one in two.observed(received(1, 2))] == ["accepting", "accepting"]
    assert list(two.observed(arrived("dock", back=True))) == []


def test_till_and_basket_are_named_only_by_wish() -> None:
    (one,) = Steps(ZONES, baskets=True).observed(sold(1))
    assert (one.place, one.context) == ("terminals/sco-1", (("inv", "sco-1/B/1"),))
    (one,), (other,) = STEPS.observed(sold(1)), STEPS.observed(sold(1, terminal="sco-2", basket="B/2"))
    assert one == other
    assert "sco-1" not in repr(one)


def test_what_left_is_told_for_the_moment_it_left() -> None:
    alarm = left().model_copy(update={"at": AT + timedelta(seconds=2)})
    assert [one.at for one in STEPS.observed(alarm)] == [AT]


def test_a_count_tells_what_was_heard_by_zone() -> None:
    seen = [(epc(1), "floor"), (epc(2), "store-room"), (epc(3), "dock")]
    found = list(STEPS.counted(finished(), seen))
    assert [(one.step, one.disposition, one.place) for one in found] == [
        ("cycle_counting", "sellable_accessible", "zones/floor"),
        ("cycle_counting", "sellable_not_accessible", "zones/store-room"),
        ("cycle_counting", "in_progress", "zones/dock"),
    ]
    assert {one.context for one in found} == {(("session", "night"),)}


@pytest.mark.parametrize("count", [finished("receiving"), finished(ended="cancelled")])
def test_a_delivery_or_a_cancelled_count_is_no_count(count: m.CountFinished) -> None:
    assert list(STEPS.counted(count, [(epc(1), "floor")])) == []
