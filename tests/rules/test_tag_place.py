"""Where a tag is: sums that fade, the order of reads, what one read may and may not do."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rules.tag_place import MOST_MARKS, beats, best_antenna, drop_faint, hear, loudest, reads_in, share
from gateway.rules.tag_presence import SECOND_US, Ears
from gateway.rules.tag_state import Ear, Tag
from gateway.rules.zones import Zone, Zones

SHOP = Zones(
    [
        Zone(id="a", kind="floor", antennas=("r:1", "r:2")),
        Zone(id="b", kind="floor", antennas=("r:3",)),
        Zone(id="door", kind="exit", antennas=("r:4",)),
        Zone(id="many", kind="floor", antennas=tuple(f"r:{n}" for n in range(10, 30))),
    ]
)


def ears() -> dict[int, Ear]:
    return Ears(SHOP).of("r")


def tag(gap_s: float = 10.0) -> Tag:
    one = Tag("30", None, "present", 0, gap_s * SECOND_US)
    one.zone = "a"
    return one


def test_antennas_of_one_zone_are_one_place() -> None:
    of, one = ears(), tag()
    for n in range(10):
        hear(one, of[1 + n % 2], -6000, n * 10 * SECOND_US)
        hear(one, of[3], -6100, n * 10 * SECOND_US)
    assert not beats(one, "b")
    assert loudest(one)[0] == "a"
    assert 0.5 < share(one, "a") < 0.6


def test_four_decibels_more_and_three_reads_move() -> None:
    of, one = ears(), tag()
    for n in range(40):
        hear(one, of[1], -6000, n * 10 * SECOND_US)
        hear(one, of[3], -5650, n * 10 * SECOND_US)
    assert not beats(one, "b")  # 3.5 dB
    for n in range(40, 80):
        hear(one, of[1], -6000, n * 10 * SECOND_US)
        hear(one, of[3], -5550, n * 10 * SECOND_US)
    assert beats(one, "b")
    other = tag()
    for n in range(3):
        assert not beats(other, "b")
        hear(other, of[3], -3000, n * 10 * SECOND_US)
    assert beats(other, "b")


@settings(max_examples=50, deadline=None)
@given(st.integers(-9000, 0), st.integers(1, 10**9), st.integers(0, 14))
def test_one_or_two_reads_never_move(cdbm: int, ahead_us: int, before: int) -> None:
    of, one = ears(), tag()
    for n in range(before):
        hear(one, of[1], -6000, n * 10 * SECOND_US)
    for _ in range(2):
        hear(one, of[3], cdbm, one.last_us + ahead_us)
        assert not beats(one, "b")


def test_a_move_is_seen_after_a_window_whatever_the_pace() -> None:
    for gap_s in (1, 10, 100):
        of, one = ears(), tag(gap_s)
        for n in range(40):
            hear(one, of[1], -6000, n * gap_s * SECOND_US)
        reads = 0
        while not beats(one, "b"):
            hear(one, of[3], -6000, one.last_us + gap_s * SECOND_US)
            reads += 1
        assert 3 <= reads <= 20


def test_at_a_door_it_goes_quicker_and_no_louder() -> None:
    """The window of an exit is a third: the same reads a second weigh the same there."""
    of, one = ears(), tag()
    for n in range(60):
        hear(one, of[1], -6000, n * 10 * SECOND_US)
        hear(one, of[4], -6000, n * 10 * SECOND_US)
    assert 0.4 < share(one, "door") < 0.6
    assert reads_in(one, "door") < reads_in(one, "a") / 2


def test_a_long_silence_leaves_something_of_what_was_known() -> None:
    of, one = ears(), tag()
    for n in range(20):
        hear(one, of[1], -6000, n * 10 * SECOND_US)
    hear(one, of[3], -6000, one.last_us + 3600 * SECOND_US)
    assert share(one, "a") > 0.5


Steps = list[tuple[int, int, int]]
STEPS = st.lists(
    st.tuples(st.sampled_from([1, 2, 3, 4]), st.integers(-8000, -4000), st.integers(0, 40 * SECOND_US)),
    min_size=2,
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.randoms(use_true_random=False))
def test_the_order_in_which_reads_come_does_not_matter(steps: Steps, rng: object) -> None:
    """Within five gaps, where nothing is cut short: two readers may tell in any order."""
    of = ears()
    shuffled = sorted(steps, key=lambda _: rng.random())  # type: ignore[attr-defined]
    newest = max(steps, key=lambda step: step[2])
    sums = []
    for order in (sorted(steps, key=lambda step: step[2]), shuffled):
        one = tag()
        for antenna, cdbm, at_us in order:
            hear(one, of[antenna], cdbm, at_us)
        assert one.last_us == newest[2]
        sums.append({zone: (round(share(one, zone), 2), round(reads_in(one, zone), 6)) for zone in ("a", "b", "door")})
    assert sums[0] == sums[1]


def test_what_is_older_than_the_window_changes_nothing() -> None:
    of, one = ears(), tag()
    hear(one, of[1], -6000, 10**9)
    before = one.age_gaps, reads_in(one, "b"), one.last_us
    hear(one, of[3], -3000, 10**9 - 160 * SECOND_US)
    assert (one.age_gaps, reads_in(one, "b"), one.last_us) == before


def test_marks_are_few_and_faint_ones_go() -> None:
    of, one = ears(), tag()
    for n in range(10, 30):
        hear(one, of[n], -6000, n * SECOND_US)
    assert len(one.marks) == MOST_MARKS
    for n in range(30):
        hear(one, of[1], -6000, (100 + n * 10) * SECOND_US)
    drop_faint(one, 1)
    assert len(one.marks) == MOST_MARKS  # the others have not been reading since: who knows what they would hear
    for antenna in range(10, 30):
        of[antenna].active_us = 60 * SECOND_US
    drop_faint(one, 60 * SECOND_US)
    assert [mark.ear.name for mark in one.marks] == ["r:1"]
    assert best_antenna(one) == "r:1"
