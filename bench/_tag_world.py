"""A shop with tags whose place is known at every instant, and what its readers hear of them. Made up, and said so.

Twelve zones in a row, four antennas a reader. A read is of a tag's own zone in 60 of 100 cases, of a next one in 30
(-6 dB), of one further in 10 (-12 dB); each pair of tag and zone has a bias of its own (multipath, 3 dB), each read
3 dB of noise. One tag in ten is heard twenty times less often. Misses come together: five times a day somebody or
something hides a tag, for a minute on average. Some tags are moved, some are carried out unseen, a reader may fail.
Not physics: it ranks rules, it promises no accuracy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

ZONES = 12
ANTENNAS = 4
READERS = ZONES // ANTENNAS
START_US = 1_795_341_600_000_000
SECOND_US = 1_000_000
FAINT_SHARE, FAINT_RATE = 0.1, 0.05
HIDDEN_S = 60.0
NEIGHBOURS = ((0, 0.60, 0.0), (1, 0.75, -6.0), (-1, 0.90, -6.0), (2, 0.95, -12.0), (-2, 1.0, -12.0))


class Heard(NamedTuple):
    """One read. The zone is that of the antenna: `zone // ANTENNAS` is its reader."""

    tag: int
    zone: int
    at_us: int
    rssi_cdbm: int


@dataclass
class Truth:
    """Where one tag is: zones with the second from which on; `left_s`: it is gone."""

    zones: list[tuple[float, int]]
    left_s: float = float("inf")

    def zone(self, at_s: float) -> int:
        """Return where it is."""
        return next(zone for since_s, zone in reversed(self.zones) if since_s <= at_s)


@dataclass
class World:
    """`reads_a_second` are shared by all tags. `outage`: reader, from second, to second."""

    tags: int
    seconds: int
    reads_a_second: int = 1000
    moved: float = 0.02
    gone: float = 0.02
    settle_s: int = 600  # nothing happens before, and nothing in the last third
    outage: tuple[int, int, int] | None = None
    hidden_a_day: float = 5.0
    seed: int = 1
    truth: list[Truth] = field(init=False)
    seconds_heard: Iterator[tuple[int, list[Heard]]] = field(init=False)

    def __post_init__(self) -> None:
        """Decide what will happen."""
        rng = self._rng = Random(self.seed)
        self.truth = [Truth([(0.0, rng.randrange(ZONES))]) for _ in range(self.tags)]
        self._bias: dict[tuple[int, int], float] = {}
        self._faint = [rng.random() < FAINT_SHARE for _ in range(self.tags)]
        self._hidden: dict[int, float] = {}
        last_s = self.settle_s + (self.seconds - self.settle_s) * 2 / 3
        for tag in rng.sample(range(self.tags), int(self.moved * self.tags)):
            one = self.truth[tag]
            other = (one.zones[0][1] + rng.randrange(3, ZONES - 2)) % ZONES
            one.zones.append((rng.uniform(self.settle_s, last_s), other))
        for tag in rng.sample(range(self.tags), int(self.gone * self.tags)):
            self.truth[tag].left_s = rng.uniform(self.settle_s, last_s)
        self.seconds_heard = self.run()

    def run(self) -> Iterator[tuple[int, list[Heard]]]:
        """Yield second by second what is heard, oldest first."""
        rng, each = self._rng, self.reads_a_second
        for second in range(self.seconds):
            self._hide(second)
            instants = sorted(rng.randrange(SECOND_US) for _ in range(each))
            heard = [
                self._read(rng.randrange(self.tags), second, START_US + second * SECOND_US + us) for us in instants
            ]
            yield second, [one for one in heard if one is not None]

    def silent(self, reader: int, second: int) -> bool:
        """Tell whether a reader is out of order."""
        return self.outage is not None and self.outage[0] == reader and self.outage[1] <= second < self.outage[2]

    def _hide(self, second: int) -> None:
        expected = self.tags * self.hidden_a_day / 86_400
        count = int(expected) + (self._rng.random() < expected % 1)
        for _ in range(count):
            self._hidden[self._rng.randrange(self.tags)] = second + self._rng.expovariate(1 / HIDDEN_S)

    def _read(self, tag: int, second: int, at_us: int) -> Heard | None:
        rng, truth = self._rng, self.truth[tag]
        if truth.left_s <= second or self._hidden.get(tag, 0) > second:
            return None
        if self._faint[tag] and rng.random() > FAINT_RATE:
            return None
        home, dice = truth.zone(second), rng.random()
        step, _, loss = next(one for one in NEIGHBOURS if dice <= one[1])
        zone = (home + step) % ZONES
        if self.silent(zone // ANTENNAS, second):
            return None
        if (tag, zone) not in self._bias:
            self._bias[tag, zone] = rng.gauss(0, 3)
        rssi_dbm = -55 + loss + self._bias[tag, zone] + rng.gauss(0, 3)
        return Heard(tag, zone, at_us, round(rssi_dbm * 100))
