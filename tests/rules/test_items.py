"""What is in the shop and where: arriving, moving, absence, goods in, visitors, old reads, clocks, commands, bounds."""

from datetime import timedelta

import pytest

from gateway import messages as m
from gateway.rules import items_book
from gateway.rules.items import Policy
from gateway.tag_notes import TagKept, TagsForgotten
from tests.rules.items_kit import AT, EPC, SHIRT, SHOE, Floor, epc, of, request, sale, us

FACTS = (m.TagArrived, m.TagMoved, m.TagAbsent, m.GoodsReceived, m.ExitAlarm, m.ExitCleared)


def test_an_item_arrives_once_with_product_zone_and_confidence() -> None:
    floor = Floor()
    (arrived,) = of(floor.stocked(EPC), *FACTS)
    assert (arrived.epc, arrived.gtin, arrived.zone, arrived.share, arrived.back) == (EPC, SHIRT, "floor", 1.0, False)
    assert dict(floor.rule.stock()) == {(SHIRT, "floor"): 1}


def test_a_ghost_is_heard_once_and_never_believed() -> None:
    floor = Floor()
    floor.read(EPC, "front:1")
    floor.live(10)
    assert of(floor.read(EPC, "front:1"), *FACTS) == []  # too late for the first one
    assert floor.state(EPC) is None
    floor.go(2)
    assert len(of(floor.read(EPC, "front:1"), m.TagArrived)) == 1


def test_two_antennas_or_a_known_product_are_enough() -> None:
    floor = Floor()
    assert of(floor.read(EPC, "front:1"), *FACTS) == []
    floor.go(20)
    assert len(of(floor.read(EPC, "front:2"), m.TagArrived)) == 1
    product = m.Product(gtin=SHOE, name={"en": "Shoe"})
    floor.feed(m.ProductsUpdate(at=floor.now, source="hq", sequence=1, full=True, products=(product,)))
    assert len(of(floor.read(epc(1, SHOE), "front:1"), m.TagArrived)) == 1
    assert len(of(floor.read(epc(2), "front:1", seen=2), m.TagArrived)) == 1


def test_an_epc_that_says_nothing_is_an_item_too() -> None:
    floor = Floor()
    (arrived,) = of(floor.stocked("E2801160600002"), m.TagArrived)
    assert arrived.gtin is None
    assert dict(floor.rule.stock()) == {(None, "floor"): 1}


def test_one_read_never_moves_an_item_however_loud() -> None:
    floor = Floor()
    floor.stocked(EPC)
    assert of(floor.read(EPC, "front:3", dbm=-30, seen=50), m.TagMoved) == []
    moved = of(floor.reads(EPC, "front:3", 12, every_s=5), m.TagMoved)
    assert [(one.from_zone, one.zone) for one in moved] == [("floor", "wall")]
    assert dict(floor.rule.stock()) == {(SHIRT, "wall"): 1}


def test_a_neighbour_that_hears_it_fainter_does_not_have_it() -> None:
    floor = Floor()
    floor.stocked(EPC)
    for _ in range(100):
        floor.read(EPC, "front:1", dbm=-55)
        floor.read(EPC, "front:3", dbm=-57)
        floor.live(2)
    assert of(floor.all, m.TagMoved) == []


def test_reads_below_the_floor_of_a_zone_do_not_count_and_calibration_does() -> None:
    zones = [zone.model_copy() for zone in Floor().zones]
    zones[2] = zones[2].model_copy(update={"floor_dbm": -60.0, "offset_db": {"front:2": 10.0}})
    from gateway.rules.zones import Zones

    floor = Floor(zones=Zones(zones))
    floor.reads(EPC, "front:1", 5, dbm=-61)
    assert floor.state(EPC) is None
    floor.reads(EPC, "front:2", 5, dbm=-69)
    assert floor.state(EPC) == "present"


def test_a_read_without_power_counts_as_one() -> None:
    floor = Floor()
    floor.read(EPC, "front:1", dbm=None)
    floor.go(1)
    assert len(of(floor.read(EPC, "front:1", dbm=None), m.TagArrived)) == 1


def test_what_is_silent_for_long_is_absent_and_comes_back() -> None:
    floor = Floor()
    floor.stocked(EPC)
    gone = of(floor.live(1200), *FACTS)
    assert [type(one) for one in gone] == [m.TagAbsent]
    assert gone[0].last_read_at == AT + timedelta(seconds=20)
    assert 60 <= gone[0].silent_s <= 600
    assert dict(floor.rule.stock()) == {}
    (back,) = of(floor.read(EPC, "front:3"), *FACTS)
    assert (back.zone, back.back) == ("wall", True)


def test_a_tag_that_is_heard_seldom_gets_more_time() -> None:
    floor = Floor()
    floor.reads(EPC, "front:1", 40, every_s=2)
    floor.reads(epc(2), "front:1", 2, every_s=2)
    floor.reads(epc(2), "front:1", 40, every_s=120)
    assert len(of(floor.all, m.TagAbsent)) == 1  # the first one, heard no more
    start = floor.now
    while not (gone := of(floor.live(30), m.TagAbsent)):
        assert floor.now - start < timedelta(hours=1)
    assert gone[0].silent_s > 900


def test_an_outage_of_readers_departs_nothing() -> None:
    floor = Floor()
    floor.stocked(*(epc(n) for n in range(20)))
    assert of(floor.live(7200, "front", step_s=5), *FACTS) == []
    floor.go(7200)  # and nobody is heard at all
    assert of(floor.live(30), *FACTS) == []
    assert len(of(floor.live(600), m.TagAbsent)) == 20  # then they are really gone


def test_a_reader_that_is_away_loses_nothing_to_its_neighbours() -> None:
    floor = Floor()
    floor.stocked(*[EPC] * 3)
    for _ in range(300):
        floor.read(EPC, "back:2", dbm=-70)
        floor.live(5, "front")
    assert of(floor.all, m.TagMoved) == []
    for _ in range(3):  # it comes back
        floor.live(5)
        floor.read(EPC, "front:1", "back:2", dbm=-70)
    assert of(floor.all, m.TagMoved) == []
    moved = of(floor.reads(EPC, "back:2", 40, every_s=5, dbm=-70), m.TagMoved)
    assert [one.zone for one in moved] == ["store"]


def test_an_item_that_a_dead_reader_heard_lately_waits_for_it() -> None:
    """A zone with two readers: what only one of them hears must not depart while that one is away."""
    from gateway.rules.zones import Zone, Zones

    shared = Zones([Zone(id="floor", kind="floor", antennas=("front:1", "back:1"))])
    floor = Floor(zones=shared)
    floor.stocked(EPC)
    floor.stocked(epc(2), antenna="back:1")
    gone = of(floor.live(3600, "front"), m.TagAbsent)
    assert [one.epc for one in gone] == [epc(2)]


def test_old_reads_never_undo_what_is_known_since() -> None:
    floor = Floor()
    floor.stocked(EPC)
    floor.reads(EPC, "front:3", 20, every_s=5)
    assert floor.rule.item(EPC).zone == "wall"
    for ago_s in range(600, 300, -10):
        assert of(floor.read(EPC, "front:1", ago_s=ago_s, dbm=-40), *FACTS) == []
    assert floor.rule.item(EPC).zone == "wall"
    floor.live(1200)
    assert floor.state(EPC) == "absent"
    assert of(floor.read(EPC, "front:1", ago_s=1100), *FACTS) == []
    assert floor.state(EPC) == "absent"


def test_goods_are_received_when_they_go_on_into_the_shop() -> None:
    floor = Floor()
    tags = [epc(n) for n in range(30)] + [epc(n, SHOE) for n in range(3)]
    floor.stocked(*tags, antenna="back:1")
    assert of(floor.all, m.GoodsReceived) == []
    for _ in range(30):
        for one in tags:
            floor.read(one, "back:2")
        floor.live(5)
    told = of(floor.all, m.GoodsReceived)
    assert {(one.gtin, one.zone, len(one.epcs)) for one in told} == {(SHIRT, "store", 30), (SHOE, "store", 3)}
    assert {one for fact in told for one in fact.epcs} == set(tags)
    floor.stocked(*tags, antenna="back:1")
    floor.stocked(*tags, antenna="front:1")
    assert len(of(floor.all, m.GoodsReceived)) == len(told)


def test_goods_are_told_once_also_when_killed_in_between() -> None:
    floor = Floor()
    floor.stocked(EPC, antenna="back:1")
    while not of(floor.all, m.TagMoved):
        floor.read(EPC, "back:2")
        floor.go(1)
    assert of(floor.all, m.GoodsReceived) == []
    floor.restart()
    floor.live(10)
    floor.restart()
    floor.live(10)
    assert len(of(floor.all, m.GoodsReceived)) == 1


def test_what_a_count_told_as_received_is_not_told_again() -> None:
    floor = Floor()
    floor.stocked(EPC, antenna="back:1")
    floor.feed(m.GoodsReceived(at=floor.now, source="gateway", gtin=SHIRT, epcs=(EPC,), zone="dock"))
    floor.stocked(EPC, EPC, EPC, EPC, EPC, antenna="back:2")
    floor.live(20)
    assert floor.rule.item(EPC).zone == "store"
    assert len(of(floor.all, m.GoodsReceived)) == 0


def test_what_a_count_tells_while_goods_wait_to_be_told_is_told_once() -> None:
    floor = Floor()
    floor.stocked(EPC, antenna="back:1")
    while not of(floor.all, m.TagMoved):
        floor.read(EPC, "back:2")
        floor.go(1)
    floor.feed(m.GoodsReceived(at=floor.now, source="gateway", gtin=SHIRT, epcs=(EPC,), zone="dock"))
    floor.live(20)
    assert of(floor.all, m.GoodsReceived) == []


def test_a_restart_does_not_move_what_a_neighbour_hears_first() -> None:
    floor = Floor()
    floor.stocked(EPC)
    floor.restart()
    assert of(floor.reads(EPC, "front:3", 4), m.TagMoved) == []
    assert [one.zone for one in of(floor.reads(EPC, "front:3", 60, every_s=5), m.TagMoved)] == ["wall"]


def test_what_a_visitor_brings_is_nobodys_business() -> None:
    floor = Floor()
    floor.walk_in(EPC)
    floor.wait(3)
    floor.stocked(EPC)
    floor.walk_out(EPC)
    floor.wait(3)
    assert floor.all == []
    assert [*floor.rule.items()] == []


def test_a_visitor_who_is_not_heard_for_long_is_still_one_and_then_forgotten() -> None:
    floor = Floor(Policy(visit_s=3600))
    floor.walk_in(EPC)
    floor.live(3000, step_s=20)
    floor.tick()
    floor.stocked(EPC)
    assert of(floor.all, *FACTS) == []
    floor.live(4300, step_s=20)
    floor.tick()
    assert floor.rule._book.get(EPC) is None


def test_a_tag_that_a_sale_told_of_is_heard_much_later_and_nothing_is_said() -> None:
    floor = Floor()
    floor.feed(sale(EPC))
    floor.feed(sale(epc(2), kind="return"))
    floor.live(3600, step_s=20)
    floor.stocked(EPC)
    assert of(floor.all, *FACTS) == []
    assert [one.back for one in of(floor.stocked(epc(2)), m.TagArrived)] == [True]


@pytest.mark.parametrize("killed", [True, False])
def test_a_sold_item_that_stays_in_the_shop_stays_sold_and_leaves_in_peace(*, killed: bool) -> None:
    floor = Floor(Policy(sold_for_s=3600))
    floor.stocked(EPC)
    floor.feed(sale(EPC, at=floor.now))
    floor.all.clear()
    for _ in range(48):  # eight hours: altered in the workshop, or laid by for the customer
        floor.read(EPC, "front:1")
        floor.live(600, step_s=60)
        floor.tick()
    assert floor.state(EPC) == "sold"
    assert len(of(floor.all, TagKept)) <= 8  # one an hour, not one a sweep
    if killed:
        floor.restart()
        floor.tick()
    floor.stocked(EPC)
    floor.live(30)
    floor.walk_out(EPC)
    floor.wait(3)
    assert of(floor.all, *FACTS) == []
    assert floor.db.execute("SELECT count(*) FROM tag").fetchone() == (0,)


def test_a_sold_item_that_is_heard_no_more_is_forgotten_in_its_time() -> None:
    floor = Floor(Policy(sold_for_s=3600))
    floor.stocked(EPC)
    floor.feed(sale(EPC, at=floor.now))
    floor.live(1800, step_s=60)
    floor.read(EPC, "front:1")
    floor.live(3500, step_s=60)
    floor.tick()
    assert floor.state(EPC) == "sold"
    floor.live(700, step_s=60)
    assert [one.epcs for one in of(floor.tick(), TagsForgotten)] == [(EPC,)]
    assert floor.state(EPC) is None


def written(floor: Floor, action: str, epc: str = EPC, **more: object) -> list[m.Message]:
    """Have a tag changed; the fact bears the time of the order, which is older than the last reads."""
    fields = {"at": floor.now - timedelta(seconds=12), "source": "hq", "actor": "hq/anna", "result": "done"}
    return floor.feed(m.TagWritten.model_validate(fields | {"action": action, "epc": epc} | more))


@pytest.mark.parametrize(("action", "new"), [("encode", epc(2)), ("kill", None)])
def test_an_epc_that_no_tag_bears_any_more_is_forgotten(action: str, new: str | None) -> None:
    floor = Floor()
    floor.stocked(EPC)
    assert [one.epcs for one in of(written(floor, action, new_epc=new), TagsForgotten)] == [(EPC,)]
    assert floor.db.execute("SELECT count(*) FROM tag").fetchone() == (0,)
    assert dict(floor.rule.stock()) == {}
    floor.all.clear()
    floor.tick()
    floor.read(EPC, "front:1", "front:2", ago_s=2)  # from before, told late
    floor.live(1800)
    floor.tick()
    assert of(floor.all, *FACTS) == []
    assert [*floor.rule.items()] == []
    floor.restart()
    assert [*floor.rule.items()] == []


@pytest.mark.parametrize(
    "more",
    [
        {"action": "lock"},
        {"action": "kill", "result": "failed"},
        {"action": "encode", "new_epc": epc(2), "result": "failed"},
        {"action": "encode", "new_epc": EPC},
    ],
)
def test_a_tag_that_was_not_changed_is_still_there(more: dict[str, str]) -> None:
    floor = Floor()
    floor.stocked(EPC)
    assert written(floor, **more) == []
    assert written(floor, "kill", epc(9)) == []  # nobody heard that one
    assert floor.state(EPC) == "present"


def test_an_epc_that_is_written_again_is_an_item_again() -> None:
    floor = Floor()
    floor.stocked(EPC)
    written(floor, "encode", new_epc=epc(2))
    floor.stocked(epc(2))
    written(floor, "encode", epc(2), new_epc=EPC)
    assert [one.epc for one in of(floor.stocked(EPC), m.TagArrived)] == [EPC]
    assert [one.epc for one in floor.rule.items()] == [EPC]


def test_a_tag_changed_while_goods_wait_to_be_told_is_not_received() -> None:
    floor = Floor()
    floor.reads(EPC, "back:1", 15)
    while not of(floor.all, m.TagMoved):
        floor.read(EPC, "front:1")
        floor.go(1)
    written(floor, "encode", new_epc=epc(2))
    floor.wait(10)
    assert of(floor.all, m.GoodsReceived) == []
    assert floor.db.execute("SELECT count(*) FROM tag").fetchone() == (0,)


def test_who_stays_is_no_visitor() -> None:
    floor = Floor(Policy(visit_s=600))
    floor.walk_in(EPC)
    floor.reads(EPC, "front:1", 200, every_s=5)
    (arrived,) = of(floor.all, *FACTS)
    assert arrived.at >= AT + timedelta(seconds=600)


@pytest.mark.parametrize("step_s", [-3600, 3600, -86400])
def test_a_clock_that_is_set_makes_nothing_leave_and_nothing_stuck(step_s: float) -> None:
    floor = Floor()
    floor.stocked(EPC, epc(2))
    floor.go(step_s)
    floor.stocked(EPC)
    floor.live(30)
    assert of(floor.all, m.TagAbsent) == []
    moved = of(floor.reads(EPC, "front:3", 20, every_s=5), m.TagMoved)
    assert [one.zone for one in moved] == ["wall"]
    assert {one.epc for one in of(floor.live(900), m.TagAbsent)} >= {EPC}
    assert floor.state(EPC) == "absent"


def test_a_read_from_the_future_is_a_read_of_now() -> None:
    floor = Floor()
    floor.stocked(EPC)
    floor.read(EPC, "front:1", ago_s=-3600)
    assert floor.rule.item(EPC).last_read_at_us <= us(floor.now)


def test_persons_clear_alarms_and_forget_tags() -> None:
    floor = Floor()
    floor.stocked(EPC)
    floor.walk_out(EPC)
    floor.wait(2)
    (alarm,) = of(floor.all, m.ExitAlarm)
    out = floor.feed(request("clear_exit", alarm=alarm.id))
    assert [(one.alarm, one.reason) for one in of(out, m.ExitCleared)] == [(alarm.id, "person")]
    assert [one.actor for one in of(out, m.AuditEntry)] == ["hq/anna"]
    assert len(of(out, m.CommandDone)) == 1
    assert floor.feed(request("clear_exit", alarm=alarm.id)) == []  # a repeat
    assert len(of(floor.feed(request("clear_exit", 2, alarm=alarm.id)), m.CommandRefused)) == 1
    assert len(of(floor.feed(request("clear_exit", 3)), m.CommandRefused)) == 1
    assert len(of(floor.feed(request("forget_tag", 4, epc="FF")), m.CommandRefused)) == 1
    assert len(of(floor.feed(request("forget_tag", 5, epc=EPC)), TagsForgotten)) == 1
    assert [*floor.rule.items()] == []
    assert floor.feed(request("ping", 6)) == []


def test_there_are_at_most_so_many_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_book, "MOST", 100)
    monkeypatch.setattr(items_book, "DROPPED", 10)
    floor = Floor()
    old = [epc(n) for n in range(30)]
    floor.stocked(*old)
    floor.live(1200)
    assert len(of(floor.all, m.TagAbsent)) == 30
    for number in range(100, 171):
        floor.read(epc(number), "front:1", seen=2)
    assert len([*floor.rule.items()]) <= 100
    assert [one.alarm for one in of(floor.all, m.AlarmRaised)] == ["rfid_tags"]
    assert floor.state(old[0]) is None
    assert floor.state(epc(170)) == "present"
    assert floor.db.execute("SELECT count(*) FROM tag").fetchone() == (len([*floor.rule.items()]),)
    for number in range(200, 400):
        floor.read(epc(number), "front:1", seen=2)
    assert len([*floor.rule.items()]) <= 100
    assert len(of(floor.all, m.AlarmRaised)) == 1


def test_old_absent_items_are_forgotten() -> None:
    floor = Floor(Policy(keep_days=3))
    floor.stocked(EPC)
    floor.live(1200)
    floor.go(2 * 86400)
    floor.tick()
    assert floor.state(EPC) == "absent"
    floor.go(86400)
    assert [one.epcs for one in of(floor.tick(), TagsForgotten)] == [(EPC,)]
    assert [*floor.rule.items()] == []


def test_the_pace_of_a_tag_is_kept_now_and_then() -> None:
    floor = Floor()
    floor.stocked(EPC)
    floor.reads(EPC, "front:1", 60, every_s=2)
    assert [one.tag.epc for one in of(floor.tick(), TagKept)] == [EPC]
    assert of(floor.tick(), TagKept) == []
    floor.restart()
    assert [one.epc for one in of(floor.live(120), m.TagAbsent)] == [EPC]  # its window is not the first one's


def test_stock_counts_are_what_the_items_are() -> None:
    floor = Floor()
    floor.stocked(*(epc(n) for n in range(10)))
    floor.stocked(*(epc(n) for n in range(4)), antenna="front:3")
    floor.stocked(*(epc(n, SHOE) for n in range(2)), antenna="back:2")
    floor.feed(sale(epc(9)))
    counted: dict[tuple[str | None, str | None], int] = {}
    for item in floor.rule.items():
        if item.state == "present":
            counted[item.gtin, item.zone] = counted.get((item.gtin, item.zone), 0) + 1
    assert counted == dict(floor.rule.stock())
    floor.restart()
    assert counted == dict(floor.rule.stock())


def test_what_goods_in_heard_through_the_wall_was_not_received() -> None:
    floor = Floor()
    floor.reads(EPC, "back:1", 3, dbm=-62)
    floor.reads(EPC, "back:2", 30, dbm=-52)
    assert [one.zone for one in of(floor.all, m.TagMoved)] == ["store"]
    assert of([*floor.all, *floor.wait(30)], m.GoodsReceived) == []
