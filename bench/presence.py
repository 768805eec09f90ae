"""How well items are placed and missed, against a made-up truth: our rule beside EdgeX's default and 600 s for all.

`python -m bench.presence [minutes]`. All rules hear the same reads, 1000 a second; the first ten minutes do not count.
EdgeX's rule is written from a description of it (mobility profile "default": 6 dB, hold-off 500 ms, -0.008 dB/ms,
departed after 600 s looked at every 30 s); it is not EdgeX's code. The world: `_tag_world.py`. Not a test.
"""

import statistics
import sys
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from bench._tag_world import ANTENNAS, READERS, SECOND_US, START_US, ZONES, Heard, World
from gateway.messages import GATEWAY, ReaderHeard, TagAbsent, TagArrived, TagMoved, TagRead, TagReads, Tick
from gateway.rules.items import Items, Policy
from gateway.rules.zones import Zone, Zones
from gateway.tag_notes import KeptItems

POPULATIONS = (2_000, 20_000)
MINUTES = 40
EPCS = [f"3035A537C8{n:014X}" for n in range(max(POPULATIONS))]
NUMBERS = {epc: n for n, epc in enumerate(EPCS)}
SHOP = Zones(
    Zone(id=f"z{zone}", kind="floor", antennas=(f"r{zone // ANTENNAS}:{zone % ANTENNAS + 1}",)) for zone in range(ZONES)
)


class Event(NamedTuple):
    """A rule says that a tag is in a zone now, or (None) that it is gone."""

    tag: int
    zone: int | None
    second: int


class Rule(Protocol):
    """What is compared."""

    name: str
    cpu_s: float

    def feed(self, second: int, heard: list[Heard], world: World) -> list[Event]:
        """Take what was heard in one second."""


class Ours:
    """The gateway's rule, as messages reach it."""

    def __init__(self, name: str, policy: Policy) -> None:
        self.name, self.cpu_s = name, 0.0
        self._rule = Items(policy, SHOP, KeptItems(), lambda _: None)

    def feed(self, second: int, heard: list[Heard], world: World) -> list[Event]:
        """Take what was heard in one second."""
        at = datetime.fromtimestamp(START_US / SECOND_US + second + 1, UTC)
        reads: list[list[TagRead]] = [[] for _ in range(READERS)]
        for tag, zone, at_us, rssi_cdbm in heard:
            reads[zone // ANTENNAS].append(TagRead(EPCS[tag], zone % ANTENNAS + 1, at_us, rssi_cdbm))
        messages = [TagReads(at=at, source=f"r{n}", reads=tuple(rows)) for n, rows in enumerate(reads) if rows]
        alive = [n for n in range(READERS) if second % 5 == 0 and not world.silent(n, second)]
        every = tuple(range(1, ANTENNAS + 1))
        start = time.process_time()
        said = [one for message in messages for one in self._rule.feed(message)]
        for number in alive:
            said += self._rule.feed(ReaderHeard(at=at, source=f"r{number}", antennas=every))
        if second % 30 == 0:
            said += self._rule.feed(Tick(at=at, source=GATEWAY))
        self.cpu_s += time.process_time() - start
        events = [
            Event(NUMBERS[one.epc], int(one.zone[1:]), second) for one in said if isinstance(one, TagArrived | TagMoved)
        ]
        return events + [Event(NUMBERS[one.epc], None, second) for one in said if isinstance(one, TagAbsent)]


class EdgeX:
    """Twenty values for each antenna; a mean that beats the present one's by an offset that falls with time moves."""

    name = "EdgeX's default, by its description"
    THRESHOLD_DB, HOLD_OFF_MS, SLOPE = 6.0, 500.0, -0.008
    DEPARTED_S, LOOKED_AT_S = 600, 30

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._values: dict[int, dict[int, deque[int]]] = {}
        self._last_us: dict[tuple[int, int], int] = {}
        self._zone: dict[int, int | None] = {}
        self._seen_us: dict[int, int] = {}

    def feed(self, second: int, heard: list[Heard], world: World) -> list[Event]:  # noqa: ARG002 - knows no readers
        """Take what was heard in one second."""
        start = time.process_time()
        events = [event for one in heard if (event := self._hear(one, second)) is not None]
        if second % self.LOOKED_AT_S == 0:
            events += self._depart(second)
        self.cpu_s += time.process_time() - start
        return events

    def _hear(self, one: Heard, second: int) -> Event | None:
        tag, zone, at_us, rssi_cdbm = one
        values = self._values.setdefault(tag, {})
        mine = values.setdefault(zone, deque(maxlen=20))
        mine.append(rssi_cdbm)
        self._last_us[tag, zone] = self._seen_us[tag] = at_us
        home = self._zone.get(tag)
        if home is None:
            self._zone[tag] = zone
            return Event(tag, zone, second)
        if home == zone or len(mine) < 2:
            return None
        silent_ms = (at_us - self._last_us[tag, home]) / 1000
        offset = min(self.THRESHOLD_DB, self.SLOPE * (silent_ms - self.HOLD_OFF_MS) + self.THRESHOLD_DB)
        if sum(mine) / len(mine) <= sum(values[home]) / len(values[home]) + offset * 100:
            return None
        self._zone[tag] = zone
        return Event(tag, zone, second)

    def _depart(self, second: int) -> list[Event]:
        oldest_us = START_US + (second - self.DEPARTED_S) * SECOND_US
        gone = [tag for tag, zone in self._zone.items() if zone is not None and self._seen_us[tag] < oldest_us]
        for tag in gone:
            self._zone[tag] = None
        return [Event(tag, None, second) for tag in gone]


class Fixed:
    """The zone of the last read; gone after ten minutes, whoever failed."""

    name = "last read, 600 s for all"

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._last: dict[int, tuple[int, int]] = {}

    def feed(self, second: int, heard: list[Heard], world: World) -> list[Event]:  # noqa: ARG002 - knows no readers
        """Take what was heard in one second."""
        start = time.process_time()
        events = []
        for tag, zone, _, _ in heard:
            before = self._last.get(tag)
            if before is None or before[0] != zone:
                events.append(Event(tag, zone, second))
            self._last[tag] = zone, second
        if second % 30 == 0:
            gone = [tag for tag, (_, last) in self._last.items() if second - last > 600]
            for tag in gone:
                del self._last[tag]
            events += [Event(tag, None, second) for tag in gone]
        self.cpu_s += time.process_time() - start
        return events


class Score(NamedTuple):
    """What a rule got right and wrong after the world had settled."""

    false_moves: float
    false_departures: float
    moves_found: float
    move_delay_s: float
    departures_found: float
    departure_delay_s: float


def score(world: World, events: Iterable[Event]) -> Score:
    """Compare with the truth; rates are per 1000 tag-hours."""
    moves: dict[int, int] = {}
    departures: dict[int, int] = {}
    false_moves = false_departures = 0
    for tag, zone, second in events:
        truth = world.truth[tag]
        if second < world.settle_s:
            continue
        if zone is None:
            if second < truth.left_s:
                false_departures += 1
            else:
                departures.setdefault(tag, second)
        elif second < truth.left_s and zone != truth.zone(second):
            false_moves += 1
        elif len(truth.zones) > 1 and second >= truth.zones[1][0] and zone == truth.zones[1][1]:
            moves.setdefault(tag, second)
    hours = sum(min(one.left_s, world.seconds) - world.settle_s for one in world.truth) / 3600 / 1000
    moved = [tag for tag, one in enumerate(world.truth) if len(one.zones) > 1 and one.zones[1][0] < one.left_s]
    gone = [tag for tag, one in enumerate(world.truth) if one.left_s < world.seconds]
    return Score(
        false_moves / hours,
        false_departures / hours,
        _share(moves, moved),
        _median(moves[tag] - world.truth[tag].zones[1][0] for tag in moved if tag in moves),
        _share(departures, gone),
        _median(departures[tag] - world.truth[tag].left_s for tag in gone if tag in departures),
    )


def _share(found: dict[int, int], wanted: list[int]) -> float:
    return sum(tag in found for tag in wanted) / max(1, len(wanted))


def _median(values: Iterable[float]) -> float:
    listed = list(values)
    return statistics.median(listed) if listed else float("nan")


def compare(world: World, rules: list[Rule]) -> list[tuple[Rule, Score]]:
    """Let all rules hear the same."""
    said: list[list[Event]] = [[] for _ in rules]
    for second, heard in world.run():
        for rule, mine in zip(rules, said, strict=True):
            mine.extend(rule.feed(second, heard, world))
    return [(rule, score(world, events)) for rule, events in zip(rules, said, strict=True)]


def contenders() -> list[Rule]:
    ours = Ours("ours", Policy())
    patient = Ours("ours, absent_after_s = 180", Policy(absent_after_s=180))
    return [ours, patient, EdgeX(), Fixed()]


def show(title: str, results: list[tuple[Rule, Score]], reads: int) -> None:
    print(f"\n{title}")
    print(f"{'rule':36s}  false moves  false departures  moves found  after s  departures found  after s  reads/s")
    for rule, one in results:
        moves = (
            f"{one.false_moves:13,.0f} {one.false_departures:17,.1f} {one.moves_found:12.1%} {one.move_delay_s:8.0f}"
        )
        departures = f"{one.departures_found:17.1%} {one.departure_delay_s:8.0f}"
        print(f"{rule.name:36s}{moves} {departures} {reads / rule.cpu_s:8,.0f}")


def main() -> None:
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    seconds = minutes * 60
    print(f"{minutes} minutes, 1000 reads/s, rates per 1000 tag-hours, delays are medians of what was found in time")
    for tags in POPULATIONS:
        world = World(tags, seconds)
        show(f"{tags} tags", compare(world, contenders()), seconds * 1000)
    outage = (0, 900, min(seconds, 1800))
    world = World(POPULATIONS[0], seconds, moved=0, gone=0, outage=outage)
    title = f"{POPULATIONS[0]} tags, one reader of three fails for {timedelta(seconds=outage[2] - outage[1])}"
    show(title, compare(world, contenders()), seconds * 1000)


if __name__ == "__main__":
    main()
