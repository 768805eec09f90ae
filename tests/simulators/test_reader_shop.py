"""The shop of the simulated readers: who is heard where, walks through the door, shoppers, the truth and its hooks."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulators._reader_epc import check_digit, made_gtins, read_gtins, sgtin96
from drivers.simulators._reader_layout import shop
from drivers.simulators._reader_radio import VISITS
from drivers.simulators._reader_truth import Truth
from drivers.simulators._reader_world import NotThere
from drivers.simulators.reader import Habits
from tests.simulators.reader_peer import Peer, epc, fleet_of


def test_an_epc_is_what_the_standard_says():
    assert sgtin96("80614141123458", 6789).hex().upper()[2:] == "34257BF7194E4000001A85"  # its example, with filter 3
    assert sgtin96("80614141123458", 6789)[0] == 0x30


def test_made_products_have_their_check_digit():
    assert all(check_digit(gtin[:-1]) == int(gtin[-1]) for gtin in made_gtins(100))
    assert len(set(made_gtins(100))) == 100


def test_products_come_from_a_file(tmp_path):
    path = tmp_path / "gtins.txt"
    path.write_text("06901234567892  # milk\n\n96385074\n")
    assert read_gtins(path) == ["06901234567892", "00000096385074"]
    path.write_text("06901234567893\n")
    with pytest.raises(ValueError, match="line 1 is no GTIN"):
        read_gtins(path)


@pytest.mark.parametrize(("readers", "antennas"), [(1, [4]), (2, [4, 2]), (3, [2, 4, 2]), (4, [2, 4, 4, 2])])
def test_every_zone_is_some_antennas_own(readers, antennas):
    layout = shop(readers)
    assert [len(mounts) for mounts in layout.readers] == antennas
    own = [mount.ears[0].zone.name for mounts in layout.readers for mount in mounts]
    assert set(own) == set(layout.zones)
    assert own[-2:] == ["by-door", "by-door"]


def test_a_read_costs_the_same_among_any_number_of_tags():
    def cost(tags):
        fleet = fleet_of(tags=tags, reads_per_s=2000)
        peer = Peer(fleet)
        peer.add(antennas=[1, 2], report_every_n=50)
        peer.run(2)
        assert fleet.readers[0].outbox.reads <= 2 * 2000
        return sum(one.visits for one in fleet.readers[0].antennas) / fleet.readers[0].outbox.reads

    few, many = cost(2_000), cost(20_000)
    assert many < 1.1 * few < VISITS


def test_every_tag_gets_its_turn_and_neighbours_are_weaker():
    fleet = fleet_of(tags=200, readers=3, reads_per_s=2000)
    peer = Peer(fleet, 2)
    peer.add(antennas=[1, 2])
    power = defaultdict(list)
    for read in peer.run(3).reads():
        home = fleet.world.tags[epc(read)].zone.name
        power[home, read.antenna_id.antenna_id].append(read.peak_rssi.peak_rssi)
    floors = {zone.name: zone for zone in fleet.world.layout.zones.values()}
    mean = {key: sum(values) / len(values) for key, values in power.items()}
    assert mean["floor-1", 1] - mean["floor-1", 2] == pytest.approx(6, abs=2)
    own = len(power["floor-1", 1]) / len(floors["floor-1"].tags)
    neighbour = len(power["floor-2", 1]) / len(floors["floor-2"].tags)
    assert own > 1.5 * neighbour


def test_no_tag_answers_more_often_than_there_are_rounds():
    fleet = fleet_of(tags=2, static=0, reads_per_s=10_000)
    peer = Peer(fleet)
    peer.add(antennas=[1])
    assert max(Counter(epc(read) for read in peer.run(10).reads()).values()) <= 300


def door_reads(way, seed=1):
    """Power and antenna of one item that walks, over time."""
    fleet = fleet_of(tags=40, seed=seed, readers=3, reads_per_s=800)
    peer = Peer(fleet, 3)
    peer.add(enable_impinj_reports=True, include_doppler=True)
    tag = next(tag for tag in fleet.world.items if tag.zone.name == "floor-1" and tag.hit == 1.0)
    peer.run(1)
    fleet.world.walk(tag, way)
    reads = [read for read in peer.run(15).reads() if epc(read) == tag.epc]
    return tag, reads


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_who_leaves_passes_the_inner_antenna_and_then_the_outer(seed):
    tag, reads = door_reads("out", seed)
    assert (tag.zone, tag.left_s is not None) == (None, True)
    best = {}
    for antenna in (1, 2):
        mine = [read for read in reads if read.antenna_id.antenna_id == antenna]
        assert len(mine) >= 3
        powers = [read.peak_rssi.peak_rssi for read in mine]
        peak = powers.index(max(powers))
        best[antenna] = mine[peak].last_seen_timestamp_utc.microseconds
        assert max(powers[:3]) <= max(powers)
        assert max(powers) > -60
    assert best[1] < best[2]


def test_who_turns_back_never_left():
    tag, reads = door_reads("turn")
    assert (tag.zone.name, tag.left_s) == ("floor-1", None)
    peak = {
        antenna: max((read.peak_rssi.peak_rssi for read in reads if read.antenna_id.antenna_id == antenna), default=-99)
        for antenna in (1, 2)
    }
    assert peak[1] > peak[2] + 1


def test_a_walk_needs_an_item_that_can_walk():
    fleet = fleet_of()
    tag = fleet.world.items[30]
    fleet.world.walk(tag)
    with pytest.raises(NotThere):
        fleet.world.walk(tag)
    fleet.run_until(20)
    with pytest.raises(NotThere):
        fleet.world.walk(tag)
    fleet.world.walk(tag, "in")
    fleet.run_until(40)
    assert (tag.zone.kind, tag.left_s) == ("floor", None)


def everything_is_somewhere(fleet):
    world = fleet.world
    lying = [tag for zone in world.layout.zones.values() for tag in zone.tags]
    assert len(lying) == len(set(lying))
    assert all(tag.zone.tags[tag.slot] is tag for tag in lying)
    for tag in world.items:
        assert (tag.zone is not None) + (tag.number in world.walks) + (tag.left_s is not None) >= 1
        assert not (tag.zone is not None and tag.left_s is not None)
    assert len(lying) + sum(tag.zone is None for tag in world.items) == len(world.items)


def test_a_shopper_waits_at_the_till_until_somebody_sells():
    habits = Habits(per_hour=600, thieves=0, tries=0, buys=1, patience_s=1000)
    fleet = fleet_of(tags=100, readers=3, habits=habits)
    truth, till = Truth(fleet), fleet.world.zone("till")
    while not till.tags:
        fleet.run_until(fleet.timeline.now_s + 1)
    fleet.run_until(fleet.timeline.now_s + 100)
    waiting = list(till.tags)
    assert all(tag.left_s is None for tag in fleet.world.items)
    (sold,) = truth.hooks["sell"]({"gtin": waiting[0].gtin})
    assert sold in waiting
    truth.hooks["sell"]({"epcs": [tag.epc.hex() for tag in waiting]})
    fleet.run_until(fleet.timeline.now_s + 60)
    assert all(tag.left_s is not None for tag in waiting)


def test_nobody_takes_what_another_holds():
    fleet = fleet_of(tags=2, static=0, readers=3, habits=Habits(per_hour=36_000, browse_s=1e6))
    fleet.run_until(60)
    held = [tag for _, _, timer in fleet.timeline._due if timer.act == fleet.shoppers._decide for tag in timer.args[0]]
    assert len(held) == len(set(held)) == len(fleet.world.zone("floor-1").tags)
    assert fleet.shoppers.came > 100


@pytest.mark.parametrize("pays_itself", [False, True])
def test_shoppers_carry_and_nothing_is_lost(pays_itself):
    fleet = fleet_of(tags=400, readers=3, speed=10, habits=Habits(per_hour=1000, thieves=0.1, pays_itself=pays_itself))
    for minute in range(9):
        fleet.run_until(60.0 * minute)
        everything_is_somewhere(fleet)
    left = [tag for tag in fleet.world.items if tag.left_s is not None]
    assert fleet.shoppers.came > 1000
    assert fleet.shoppers.stole > 50
    unsold = [tag for tag in left if tag.sold_s is None]
    assert unsold
    assert bool(len(left) - len(unsold)) is pays_itself
    assert all(tag.sold_s < tag.left_s for tag in left if tag.sold_s is not None)


def test_the_same_seed_is_the_same_shop():
    def story():
        fleet = fleet_of(tags=100, readers=3, habits=Habits(per_hour=5000), ghost_share=0.01, odd_share=0.2)
        peer = Peer(fleet, 2)
        peer.add()
        peer.run(20)
        return peer.raw, Truth(fleet).told([1, 2, 3])

    assert story() == story()


# the truth


def test_the_truth_tells_where_everything_is():
    fleet = fleet_of(tags=30, readers=3)
    told = Truth(fleet).told([5084, 5085, 5086])
    assert told["zones"]["goods-in"] == "goods_in"
    assert set(told["tags"]) == {tag.epc.hex().upper() for tag in fleet.world.items}
    assert [one["port"] for one in told["readers"]] == [5084, 5085, 5086]
    one = told["tags"][fleet.world.items[7].epc.hex().upper()]
    assert one == {
        "gtin": fleet.world.items[7].gtin,
        "zone": fleet.world.items[7].zone.name,
        "since": "2023-11-14T22:13:20.000Z",
        "left": None,
        "sold": None,
        "killed": False,
    }


def test_hooks_steer_the_shop():
    fleet = fleet_of(tags=200, readers=3)
    hooks = Truth(fleet).hooks
    gtin = next(tag.gtin for tag in fleet.world.items if tag.zone.name == "floor-2")
    (sold,) = hooks["sell"]({"gtin": gtin, "leave": True})
    (stolen,) = hooks["walk"]({"items": 1})
    moved = hooks["move"]({"items": 5, "from": "backroom", "to": "floor-1"})
    fresh = hooks["deliver"]({"items": 7})
    hooks["fault"]({"fault": "stall", "seconds": 5, "reader": 3})
    fleet.run_until(20)
    told = Truth(fleet).told([1, 2, 3])["tags"]
    assert (told[sold.epc.hex().upper()]["sold"], told[stolen.epc.hex().upper()]["sold"]) == (
        "2023-11-14T22:13:20.000Z",
        None,
    )
    assert all(told[tag.epc.hex().upper()]["left"] for tag in (sold, stolen))
    assert {tag.zone.name for tag in moved} == {"floor-1"}
    assert {tag.zone.name for tag in fresh} == {"goods-in"}
    assert len({tag.epc for tag in fleet.world.items}) == 207
    everything_is_somewhere(fleet)


@pytest.mark.parametrize(
    ("hook", "body"),
    [
        ("sell", {"epc": "00"}),
        ("sell", {"epcs": "00"}),
        ("sell", {"gtin": "00000000000000"}),
        ("walk", {"items": 0}),
        ("walk", {"items": 10_000}),
        ("walk", {"items": 1, "way": "up"}),
        ("move", {"items": 1, "to": "heaven"}),
        ("move", {"items": 1, "from": "heaven", "to": "till"}),
        ("deliver", {"items": True}),
        ("fault", {"fault": "fly"}),
        ("fault", {"fault": "cut", "reader": 4}),
    ],
)
def test_hooks_refuse_what_cannot_be(hook, body):
    fleet = fleet_of(tags=50, readers=3)
    with pytest.raises(ValueError, match=r"."):
        Truth(fleet).hooks[hook](body)
    everything_is_somewhere(fleet)
