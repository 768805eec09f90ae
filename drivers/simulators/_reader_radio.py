"""What one antenna hears: a cursor that walks the zones' lists, so that a read costs the same among any number of tags.

Pure: chance is handed in. `visits` counts the tags that were looked at, for a test that cannot be fooled by a slow
machine. Not here: reports (`_reader_reports.py`), who is where (`_reader_world.py`).
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from drivers.simulators._reader_layout import Mount
from drivers.simulators._reader_tag import Tag
from drivers.simulators._reader_walk import Walk, seen_from

ZONE_CDBM = -5200  # a tag in the antenna's own zone, before luck
FLOOR_CDBM = -7600  # weaker than this, a tag has not the power to answer
NOISE_CDB, BIAS_CDB = 300, 300  # of each read; of each tag at each antenna, for ever (its own reflections)
ROUNDS_S = 30.0  # inventory rounds a second: no tag answers more often
VISITS = 4  # tags looked at for one read, at most
_LUCK = 4096
_rng = Random(4096)  # noqa: S311 (repeatable, not secret)
_NOISE = [round(_rng.gauss(0, NOISE_CDB)) for _ in range(_LUCK)]
_BIAS = [round(_rng.gauss(0, BIAS_CDB)) for _ in range(_LUCK)]
Fits = Callable[[Tag], bool]


class Heard(NamedTuple):
    """One read. `rssi_cdbm` in 0.01 dBm, `phase` 0 to 4095, `doppler` in 1/16 Hz."""

    tag: Tag
    rssi_cdbm: int
    phase: int
    doppler: int


class Antenna:
    """One antenna: what it hears (`mount`), whether its cable is in, where its cursor stands."""

    def __init__(self, number: int, mount: Mount, rng: Random) -> None:
        self.number = number
        self.mount = mount
        self.connected = True
        self.visits = 0
        self._rng = rng
        self._ear = self._at = 0
        self._owed = 0.0

    def share(self, wanted: float, turn_s: float) -> int:
        """Return how many reads a turn gives: as many as wanted, but no tag more often than rounds are."""
        answers = sum(len(ear.zone.tags) * ear.hit for ear in self.mount.ears)
        self._owed += min(wanted, answers * ROUNDS_S * turn_s)
        whole = int(self._owed)
        self._owed -= whole
        return whole

    def sweep(self, wanted: int, loss_cdb: int = 0, fits: Fits | None = None) -> list[Heard]:
        """Go on through the tags of its zones until so many were heard, or too many looked at in vain."""
        found: list[Heard] = []
        left = VISITS * wanted
        ears, random, salt = self.mount.ears, self._rng.random, self.number * 977
        while left > 0 and len(found) < wanted:
            zone, ear_loss_cdb, ear_hit = ears[self._ear]
            base = ZONE_CDBM + ear_loss_cdb - loss_cdb
            for tag in zone.tags[self._at : self._at + min(left, wanted - len(found))]:
                self._at += 1
                left -= 1
                luck, hit = random(), ear_hit * tag.hit
                if luck < hit and (fits is None or fits(tag)):
                    place = tag.number * 31 + salt
                    rssi = base + _NOISE[int(luck / hit * _LUCK)] + _BIAS[place % _LUCK]
                    if rssi > FLOOR_CDBM:
                        found.append(Heard(tag, rssi, (place * 13 + int(luck / hit * 64)) % _LUCK, 0))
            if self._at >= len(zone.tags):
                self._ear, self._at = (self._ear + 1) % len(ears), 0
                left -= 1
        self.visits += VISITS * wanted - left
        return found

    def pass_by(self, walks: Sequence[Walk], now_s: float, fits: Fits | None = None) -> list[Heard]:
        """Return who of those that go through the door is heard at this moment."""
        if self.mount.door_m is None:
            return []
        found = []
        for walk in walks:
            sight = seen_from(self.mount.door_m, walk, now_s)
            if self._rng.random() < sight.hit * walk.tag.hit and (fits is None or fits(walk.tag)):
                rssi = sight.rssi_cdbm + _NOISE[int(self._rng.random() * _LUCK)] // 2
                found.append(Heard(walk.tag, rssi, sight.phase, sight.doppler))
        return found
