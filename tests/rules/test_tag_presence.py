"""Whether a tag is still there: pace, windows, time of reading, deadlines; and a made-up shop with an outage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench._tag_world import World
from bench.presence import Fixed, Ours, compare
from gateway.rules.items import Policy
from gateway.rules.tag_chatter import LEARNT, SLOT_US, DoorHabit
from gateway.rules.tag_guard import MOST, Guard
from gateway.rules.tag_presence import OUTAGE_US, SECOND_US, STEP_US, Deadlines, Ears, learn, silent_us, window_us
from gateway.rules.tag_state import Ear, Mark, Tag
from gateway.rules.zones import Zone, Zones
from tests.rules.items_kit import AT, EPC, epc, gtin_of, us

SHOP = Zones([Zone(id="a", kind="floor", antennas=("r:1", "r:2", "s:1"))])
NOW = us(AT)


def tag(ear: Ear, gap_s: float = 10.0) -> Tag:
    one = Tag("30", None, "present", 0, gap_s * SECOND_US)
    one.marks.append(Mark(ear, 0.0))
    return one


def test_the_pace_is_learnt_in_a_few_hearings_and_then_held() -> None:
    ear = Ears(SHOP).of("r")[1]
    one = tag(ear, gap_s=300)
    for n in range(1, 11):
        learn(one, n * 4 * SECOND_US)
    assert 4 * SECOND_US < one.gap_us < 12 * SECOND_US
    for n in range(11, 60):
        learn(one, n * 4 * SECOND_US)
    before = one.gap_us
    learn(one, one.hearing_us + 20 * SECOND_US)
    assert one.gap_us == pytest.approx(before + 16 * SECOND_US / 16, rel=0.02)


def test_an_outage_is_no_pace() -> None:
    ears = Ears(SHOP)
    one = tag(ears.of("r")[1])
    learn(one, 3600 * SECOND_US)  # an hour in which its reader was not heard
    assert one.gap_us < 10 * SECOND_US


@given(st.integers(1, 10**12))
def test_the_window_grows_with_the_pace_between_its_limits(gap_us: int) -> None:
    window = window_us(gap_us, 60 * SECOND_US, 3600 * SECOND_US)
    assert 60 * SECOND_US <= window <= 3600 * SECOND_US
    assert window == pytest.approx(9.21 * gap_us, rel=0.01) or window in (60 * SECOND_US, 3600 * SECOND_US)


def test_only_time_of_reading_counts_for_each_antenna() -> None:
    ears = Ears(SHOP)
    first, second, other = ears.of("r")[1], ears.of("r")[2], ears.of("s")[1]
    ears.heard("r", NOW, (1, 2))
    ears.heard("r", NOW + 10 * SECOND_US, (1,))
    assert (first.active_us, second.active_us, other.active_us) == (10 * SECOND_US, 10 * SECOND_US, 0)
    ears.heard("r", NOW + 20 * SECOND_US)
    assert (first.active_us, second.active_us) == (20 * SECOND_US, 10 * SECOND_US)
    ears.heard("r", NOW + 20 * SECOND_US + OUTAGE_US + 1)
    ears.heard("r", NOW)  # the clock was set back
    assert first.active_us == 20 * SECOND_US
    one = tag(first)
    one.marks.append(Mark(other, 0.0))
    ears.heard("r", NOW + 10 * SECOND_US)
    assert silent_us(one) == 0  # the other antenna that heard it is away


def test_no_time_passes_when_the_clock_is_set() -> None:
    ears = Ears(SHOP)
    for step_us in (0, SECOND_US, STEP_US + 1, -(10**12), SECOND_US):
        ears.tick(ears._now_us + step_us if ears._now_us else NOW)
    assert ears.uptime_us == 2 * SECOND_US


@given(st.lists(st.integers(0, 200 * SECOND_US), max_size=50), st.integers(1, 20))
def test_each_deadline_comes_once_and_not_before_its_time(instants: list[int], most: int) -> None:
    deadlines, ear = Deadlines(), Ears(SHOP).of("r")[1]
    wanted = {id(one): at for at in instants for one in [tag(ear)] if not deadlines.put(one, at)}
    keep: list[Tag] = []
    now_us = 0
    while now_us < 220 * SECOND_US or len(keep) < len(instants):
        now_us += 700_000
        due = deadlines.due(now_us, most)
        assert len(due) <= most
        for one in due:
            assert wanted.get(id(one), 0) <= now_us
        keep += due
        assert now_us < 400 * SECOND_US
    assert len(keep) == len(instants)


def test_made_up_epcs_fill_no_more_than_so_much() -> None:
    guard, ear = Guard([], gtin_of), Ears(SHOP).of("r")[1]
    for n in range(MOST + 500):
        assert guard.hear(epc(n), ear, -6000, NOW + n, 1) is None
    assert len(guard._heard) == MOST
    assert guard.hear(epc(0), ear, -6000, NOW + MOST + 500, 1) is None  # it was forgotten
    assert guard.hear(epc(MOST), ear, -6000, NOW + MOST + 501, 1) is not None


@pytest.mark.parametrize(("later_s", "believed"), [(4, True), (6, False), (-4, True), (-6, False)])
def test_two_reads_must_be_near_each_other(later_s: int, *, believed: bool) -> None:
    guard, ear = Guard([], gtin_of), Ears(SHOP).of("r")[1]
    assert guard.hear(EPC, ear, -6000, NOW, 1) is None
    assert (guard.hear(EPC, ear, -6000, NOW + later_s * SECOND_US, 1) is not None) == believed


def test_what_is_heard_at_a_door_for_a_minute_lies_there_until_it_is_silent() -> None:
    habit = DoorHabit()
    changes = [habit.hear(NOW + n * SLOT_US, -6000) for n in range(LEARNT + 2)]
    assert changes.index(True) == LEARNT - 1
    assert changes.count(True) == 1
    assert habit.explains(-5500)
    assert not habit.explains(-5000)
    assert habit.hear(NOW + 100 * SLOT_US, -6000)
    assert not habit.learnt


def test_a_passage_does_not_explain_itself() -> None:
    habit = DoorHabit()
    for n in range(20):
        habit.hear(NOW + n * SLOT_US, -6500)
    habit.hear(NOW + 20 * SLOT_US - 1, -4500)
    habit.hear(NOW + 20 * SLOT_US, -4500)
    assert not habit.explains(-4500)


def test_in_a_made_up_shop_an_outage_departs_nothing_and_little_is_wrong() -> None:
    """Twelve zones, noise, faint tags; a reader of three fails for a quarter of an hour, nobody leaves."""
    world = World(120, 1300, 40, moved=0.0, gone=0.0, settle_s=300, outage=(0, 350, 1250), hidden_a_day=0)
    (_, ours), (_, fixed) = compare(world, [Ours("ours", Policy()), Fixed()])
    assert ours.false_departures == 0 < fixed.false_departures  # a rule that does not know of readers fails
    assert ours.false_moves < 3000 < fixed.false_moves
