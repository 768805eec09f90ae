"""Which way through a door: hand-made passages, and the order of arrival that must not matter."""

from math import exp, hypot, log10
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.exit_direction import SURE, DoorRead, judge

Step = tuple[bool, int]
OUT: list[Step] = [(False, -70), (False, -60), (False, -52), (True, -52), (True, -60), (True, -70)]


def passage(steps: list[Step], every_us: int = 400_000, *, power: bool = True) -> list[DoorRead]:
    return [
        DoorRead(n * every_us, outside, dbm * 100 if power else None, f"gate:{1 + outside}")
        for n, (outside, dbm) in enumerate(steps)
    ]


@pytest.mark.parametrize("quiet", [True, False])
def test_inner_side_first_is_out_and_outer_side_first_is_in(*, quiet: bool) -> None:
    out = judge(passage(OUT), two_sided=True, quiet=quiet)
    assert out is not None
    assert (out.way, out.reader) == ("out", "gate")
    assert out.score > SURE
    back = judge(passage([(not outside, dbm) for outside, dbm in OUT]), two_sided=True, quiet=quiet)
    assert back is not None
    assert back.way == "in"
    assert back.score == pytest.approx(1 - out.score)


def test_the_order_is_enough_where_no_power_is_known() -> None:
    out = judge(passage(OUT, power=False), two_sided=True, quiet=True)
    assert out is not None
    assert out.way == "out"


@pytest.mark.parametrize(
    "steps",
    [
        OUT[2:4],  # two reads
        [(False, -70), (False, -58), (False, -52), (True, -60), (False, -52), (False, -60)],  # turned round in the door
        [(False, -60), (False, -60), (True, -61), (True, -60)],  # neither louder nor fainter: it lies there
        [(False, -70), (False, -55), (False, -70)],  # came near and went away
    ],
)
def test_what_is_not_clear_is_nothing(steps: list[Step]) -> None:
    assert judge(passage(steps), two_sided=True, quiet=True) is None


def test_both_sides_must_hear_it_within_seconds() -> None:
    inner, outer = passage(OUT)[:3], passage(OUT)[3:]
    later = [read._replace(at_us=read.at_us + 5_000_000) for read in outer]
    assert judge([*inner, *outer], two_sided=True, quiet=True) is not None
    assert judge([*inner, *later], two_sided=True, quiet=True) is None


def test_who_still_comes_nearer_is_not_judged_yet() -> None:
    steps = [(False, -70), (False, -65), (False, -60), (True, -55)]
    assert judge(passage(steps), two_sided=True, quiet=False) is None
    assert judge(passage(steps), two_sided=True, quiet=True) is not None


def test_heard_outside_only_and_fading_is_a_weak_out() -> None:
    steps = [(True, -60), (True, -52), (True, -60), (True, -70)]
    out = judge(passage(steps), two_sided=True, quiet=True)
    assert out is not None
    assert (out.way, out.score) == ("out", 0.5)
    assert judge(passage(steps), two_sided=True, quiet=False) is None


def test_a_door_with_one_side_knows_a_pass_but_not_its_direction() -> None:
    steps = [(False, -66), (False, -52), (False, -66)]
    out = judge(passage(steps), two_sided=False, quiet=True)
    assert out is not None
    assert (out.way, out.score) == ("out", 0.5)
    assert judge(passage(steps), two_sided=False, quiet=False) is None
    assert judge(passage(steps[:2] * 2), two_sided=False, quiet=True) is None


@given(st.permutations(passage(OUT)), st.booleans())
def test_the_order_in_which_readers_tell_does_not_matter(reads: list[DoorRead], quiet: bool) -> None:  # noqa: FBT001 - hypothesis
    told = judge(reads, two_sided=True, quiet=quiet)
    assert told == judge(passage(OUT), two_sided=True, quiet=quiet)
    assert told is not None
    assert [read.at_us for read in told.reads] == sorted(read.at_us for read in told.reads)


def test_noise_turns_no_walker_round_and_lets_few_lying_tags_leave() -> None:
    """3 dB of noise, both sides hear both sides: walkers at 1 m/s, tags that lie, 12 reads a second."""
    rng = Random(7)
    found = {"out": 0, "in": 0, "lies": 0}
    for _ in range(300):
        for way in found:
            reads = [read for n in range(48) if (read := _noisy(rng, n * 80_000, way)) is not None]
            verdict = judge(reads, two_sided=True, quiet=True)
            assert verdict is None or way in ("lies", verdict.way)
            found[way] += verdict is not None
    assert found["out"] > 270
    assert found["in"] > 270
    assert found["lies"] < 40


def _noisy(rng: Random, at_us: int, way: str) -> DoorRead | None:
    """Return a read at a door with antennas 0.5 m inside and outside, 1.2 m away, if it is loud enough."""
    outside = rng.random() < 0.5
    place_m = {"out": at_us / 1e6 - 1.9, "in": 1.9 - at_us / 1e6, "lies": -1.5}[way]
    distance_m = hypot(place_m - (0.5 if outside else -0.5), 1.2)
    shade_db = 8 if (place_m > 0) != outside else 0
    dbm = -48 - 22 * log10(distance_m / 1.2) - shade_db + rng.gauss(0, 3)
    heard = rng.random() < 1 / (1 + exp(-(dbm + 64) / 2))
    return DoorRead(at_us, outside, round(dbm * 100), f"gate:{1 + outside}") if heard else None
