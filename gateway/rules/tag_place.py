"""Where a tag is: the power that each zone heard of it within a window of its own pace.

The window is 15 mean gaps of the tag (5 at an exit), with soft ends: what was heard fades, by half a window to 1/e. A
tag moves when another zone has heard 4 dB more than its own with three reads at least, so one read never moves it.
Reads in another order give the same sums: an old one counts what is left of it. Not here: whether it is there at all
(`tag_presence.py`).
A zone whose reader is away loses nothing to its neighbours, which still hear: not for an hour.
"""

from math import exp, log

from gateway.rules.tag_state import FLOOR_WINDOW, Ear, Mark, Tag

SECOND_US = 1_000_000
OUTAGE_US = 30 * SECOND_US  # readers are heard every few seconds: a longer pause of one is no time of reading
HELD_US = 3600 * SECOND_US  # a reader that is away for longer holds its tags no more: others know better then
MOVE = 10**0.4  # 4 dB
PER_CDB = log(10) / 1000  # a hundredth of a dB, as an exponent of e
MORE_THAN_READS = 2.0  # a read counts 1 at most and fades: more than two are three at least
LONGEST_GAPS = 5.0  # a longer silence fades no more than this, or one read after it would be all there is
FAINT_READS = 0.05  # a mark below this is dropped
MOST_MARKS = 8
RESTORED = 8  # hearings that a kept pace stands for
ASSUMED_READS = 5.0  # after a restart the place that was kept counts so much


def hear(tag: Tag, ear: Ear, cdbm: int, at_us: int) -> None:
    """Take one read in."""
    power = exp(cdbm * PER_CDB) * ear.gain
    if not tag.hearings:
        _assume(tag, power / ear.gain)
    age, weight = tag.age_gaps, 1.0
    gaps = (at_us - tag.last_us) / tag.gap_us
    if gaps > 0:
        age = tag.age_gaps = age + (gaps if gaps < LONGEST_GAPS else LONGEST_GAPS)  # noqa: FURB136 - min() costs more
        tag.last_us = at_us
    elif gaps:
        if gaps < -FLOOR_WINDOW:
            return
        weight = exp(gaps / ear.fade_gaps)
    for mark in tag.marks:
        if mark.ear is ear:
            break
    else:
        mark = _new_mark(tag, ear)
    left = exp((mark.age_gaps - age) / ear.fade_gaps)
    mark.power = mark.power * left + power * weight
    mark.reads = mark.reads * left + weight
    mark.age_gaps = age
    if gaps >= 0:
        mark.active_us = ear.active_us


def beats(tag: Tag, zone: str) -> bool:
    """Tell whether this zone has heard enough more of the tag than the one that it is in."""
    own = power = reads = 0.0
    age, home = tag.age_gaps, tag.zone
    for mark in tag.marks:
        ear = mark.ear
        if ear.zone == zone:
            left = exp((mark.age_gaps - age) / ear.fade_gaps)
            power += mark.power * left
            reads += mark.reads * left
        elif ear.zone == home:
            own += mark.power * exp((mark.age_gaps - age) / ear.fade_gaps)
    return reads > MORE_THAN_READS and power > own * MOVE and not _is_held(tag, zone, power)


def _is_held(tag: Tag, zone: str, power: float) -> bool:
    """Tell whether no antenna of its own zone could hear the tag; then what that zone heard is made to last."""
    home = [mark for mark in tag.marks if mark.ear.zone == tag.zone]
    now_us = max(mark.ear.read_us for mark in tag.marks if mark.ear.zone == zone)
    held = bool(home) and all(OUTAGE_US < now_us - mark.ear.read_us < HELD_US for mark in home)
    for mark in home if held else ():
        mark.power, mark.reads, mark.age_gaps = power * MOVE / len(home), ASSUMED_READS, tag.age_gaps
    return held


def reads_in(tag: Tag, zone: str) -> float:
    """Return how many reads of a zone count now."""
    return sum(mark.reads * _left(mark, tag) for mark in tag.marks if mark.ear.zone == zone)


def loudest(tag: Tag) -> tuple[str, float]:
    """Return the zone that heard most of the tag, and its share of all that was heard."""
    powers: dict[str, float] = {}
    for mark in tag.marks:
        powers[mark.ear.zone] = powers.get(mark.ear.zone, 0.0) + mark.power * _left(mark, tag)
    zone = max(powers, key=powers.__getitem__)
    return zone, _share(powers[zone], sum(powers.values()))


def share(tag: Tag, zone: str) -> float:
    """Return the share of a zone in what was heard of a tag: how sure it is that the tag is there."""
    mine = sum(mark.power * _left(mark, tag) for mark in tag.marks if mark.ear.zone == zone)
    return _share(mine, sum(mark.power * _left(mark, tag) for mark in tag.marks))


def best_antenna(tag: Tag) -> str | None:
    """Return the antenna of its zone that hears the tag best."""
    own = [mark for mark in tag.marks if mark.ear.zone == tag.zone]
    return max(own, key=lambda mark: mark.power * _left(mark, tag)).ear.name if own else None


def drop_faint(tag: Tag, silent_us: int) -> None:
    """Forget antennas that have been reading for so long and did not hear the tag; the last that did stays."""
    kept = [
        mark
        for mark in tag.marks
        if mark.reads * _left(mark, tag) >= FAINT_READS or mark.ear.active_us - mark.active_us < silent_us
    ]
    tag.marks = kept or [max(tag.marks, key=lambda mark: mark.age_gaps)]


def start_over(tag: Tag) -> None:
    """Forget what was heard, but for which antenna was the last."""
    tag.marks = sorted(tag.marks, key=lambda mark: mark.age_gaps)[-1:]
    for mark in tag.marks:
        mark.power = mark.reads = 0.0


def _new_mark(tag: Tag, ear: Ear) -> Mark:
    if len(tag.marks) >= MOST_MARKS:
        tag.marks.remove(min(tag.marks, key=lambda mark: mark.reads * _left(mark, tag)))
    mark = Mark(ear, tag.age_gaps)
    tag.marks.append(mark)
    return mark


def _assume(tag: Tag, power: float) -> None:
    """Begin after a restart: take the kept place to have been heard some times as loud as this read."""
    for mark in tag.marks:
        mark.power, mark.reads = power * ASSUMED_READS, ASSUMED_READS
    tag.hearings = RESTORED


def _left(mark: Mark, tag: Tag) -> float:
    return exp((mark.age_gaps - tag.age_gaps) / mark.ear.fade_gaps)


def _share(part: float, whole: float) -> float:
    return round(part / whole, 3) if whole else 0.0
