"""Whether a tag is still there: each has its own pace, and only time in which antennas were reading counts.

A tag that is heard every `gap` on average is silent for longer than ln(1/d) gaps with probability d, if misses are
independent (SMURF: Jeffery, Garofalakis, Franklin, VLDB 2006). They are not quite (hangers, people), so the window has
a floor and a cap. Reads within a second are one hearing. The time of an antenna stands still while its reader is not
heard: nothing leaves in an outage, also not where a second reader still hears part of the zone, because each antenna
that heard the tag lately must have been silent for the whole window. Not here: where a tag is (`tag_place.py`).
"""

from collections.abc import Iterable
from math import log

from gateway.rules.tag_place import OUTAGE_US, drop_faint
from gateway.rules.tag_state import Ear, Tag
from gateway.rules.zones import Zones

SECOND_US = 1_000_000
MISSED = 1e-4  # d: how often a window is outlasted by a tag that is there
GAPS = log(1 / MISSED)
HEARING_US = SECOND_US  # antennas in turn, rounds of one inventory: reads so near to each other are no news
FIRST_GAP_US = 300.0 * SECOND_US  # of a tag that was heard once: wait long, it may be one that is heard seldom
SETTLED = 31  # hearings after which each new gap weighs 1/16 in the mean; the first ones weigh more
STEP_US = 120 * SECOND_US  # the clock was set, or nobody was there: no time passed
LONG = 4  # gaps: what is silent no longer than this was not silent because of an outage
RECHECK_US = 5 * SECOND_US


def learn(tag: Tag, at_us: int) -> None:
    """Learn the pace of a tag from a new hearing, at least HEARING_US after the one before."""
    gap_us = float(at_us - tag.hearing_us)
    tag.hearing_us = at_us
    if not tag.hearings:  # the first after a restart
        return
    if gap_us > OUTAGE_US and gap_us > tag.gap_us * LONG:
        active_us = silent_us(tag)
        if gap_us - active_us > OUTAGE_US:  # its reader was away in between
            gap_us = float(max(active_us, HEARING_US))
    if tag.hearings < SETTLED:
        tag.hearings += 1
    tag.gap_us += (gap_us - tag.gap_us) * (2 / (tag.hearings + 1))


def window_us(gap_us: float, least_us: int, most_us: int) -> int:
    """Return how long a tag of this pace must be silent before it is called absent."""
    return int(min(max(GAPS * gap_us, least_us), most_us))


def silent_us(tag: Tag) -> int:
    """Return for how long every antenna that heard the tag lately has been reading without it."""
    marks = tag.marks
    if len(marks) == 1:
        return marks[0].ear.active_us - marks[0].active_us
    return min([mark.ear.active_us - mark.active_us for mark in marks], default=0)


class Ears:
    """All antennas of the zones, and the time in which each was reading. `uptime_us` is the fastest of these clocks."""

    def __init__(self, zones: Zones) -> None:
        self._of = {
            reader: {number: Ear(reader, number, spot) for number, spot in zones.spots(reader).items()}
            for reader in sorted(zones.readers())
        }
        self._reading = {reader: tuple(ears.values()) for reader, ears in self._of.items()}
        self._heard_us: dict[str, int] = {}
        self._now_us = 0
        self.uptime_us = 0

    def of(self, reader: str) -> dict[int, Ear]:
        """Return the antennas of a reader that hear a zone."""
        return self._of.get(reader, {})

    def named(self, antenna: str | None, zone: str | None) -> Ear | None:
        """Return an antenna by its name, or another one of the zone, if there is any."""
        found = [ear for ears in self._of.values() for ear in ears.values() if ear.zone == zone]
        return next((ear for ear in found if ear.name == antenna), found[0] if found else None)

    def tick(self, now_us: int) -> None:
        """Let time pass. After a step of the clock none has passed."""
        if 0 < now_us - self._now_us <= STEP_US:
            self.uptime_us += now_us - self._now_us
        self._now_us = now_us

    def heard(self, reader: str, now_us: int, antennas: Iterable[int] | None = None) -> None:
        """Count the time since this reader was heard last for those of its antennas that were reading."""
        passed = now_us - self._heard_us.get(reader, now_us)
        self._heard_us[reader] = now_us
        for ear in self._reading.get(reader, ()):
            ear.active_us += passed if 0 < passed <= OUTAGE_US else 0
            ear.read_us = now_us
        if antennas is not None:
            ears = self._of.get(reader, {})
            self._reading[reader] = tuple(ears[number] for number in antennas if number in ears)


class Deadlines:
    """When to look at which tag again, by seconds of uptime. A tag is in it once; reads do not touch it."""

    def __init__(self) -> None:
        self._by_second: dict[int, list[Tag]] = {}
        self._next = 0

    def put(self, tag: Tag, at_us: int) -> None:
        """Look at this tag at an instant."""
        second = max(at_us // SECOND_US + 1, self._next)
        self._by_second.setdefault(second, []).append(tag)

    def due(self, now_us: int, most: int) -> list[Tag]:
        """Return tags to look at now, at most so many: the others are next."""
        taken: list[Tag] = []
        while self._next <= now_us // SECOND_US and len(taken) < most:
            tags = self._by_second.pop(self._next, [])
            room = most - len(taken)
            taken += tags[:room]
            if len(tags) > room:
                self._by_second[self._next] = tags[room:]
            else:
                self._next += 1
        return taken


def still_us(tag: Tag, least_us: int, most_us: int) -> int:
    """Return how much longer a tag may be silent; 0 = it is absent."""
    window = window_us(tag.gap_us, least_us, most_us)
    if len(tag.marks) > 1:
        drop_faint(tag, window)
    return max(0, window - silent_us(tag))
