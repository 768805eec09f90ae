"""Somebody carries an item through the door, or up to it and back: where it is when, and what an antenna makes of it.

Pure. A metre inside is negative, outside positive. Not here: who walks (`_reader_world.py`).
"""

import math
from typing import Literal, NamedTuple

from drivers.simulators._reader_tag import Tag

Way = Literal["out", "in", "turn"]  # through the door; back into the shop; up to the door and back
FROM_M, TURN_M = 4.0, 0.9  # a walk begins 4 m inside and ends 4 m outside; who turns back stops 0.9 m before the sill
HEIGHT_M = 1.5  # of the antenna over the item
PEAK_CDBM = -4600
LOSS_CDB = 2500  # for ten times the distance
REACH_M = 3.5  # farther away nothing answers
WAVE_M = 0.326  # 920 MHz


class Walk(NamedTuple):
    """One walk of one item."""

    tag: Tag
    way: Way
    begin_s: float
    pace_mps: float

    @property
    def seconds(self) -> float:
        """Return how long it takes."""
        length_m = 2 * (FROM_M - TURN_M) if self.way == "turn" else 2 * FROM_M
        return length_m / self.pace_mps

    @property
    def crossing_s(self) -> float:
        """Return when it is on the sill."""
        return self.begin_s + FROM_M / self.pace_mps

    def at_m(self, now_s: float) -> float:
        """Return where it is."""
        gone_m = (now_s - self.begin_s) * self.pace_mps
        match self.way:
            case "out":
                return gone_m - FROM_M
            case "in":
                return FROM_M - gone_m
            case "turn":
                return -TURN_M - abs(FROM_M - TURN_M - gone_m)


class Sight(NamedTuple):
    """A walking tag as an antenna hears it: how likely, 0.01 dBm, phase of 4096, Doppler in 1/16 Hz."""

    hit: float
    rssi_cdbm: int
    phase: int
    doppler: int


def seen_from(antenna_m: float, walk: Walk, now_s: float) -> Sight:
    """Return what an antenna at the door hears of a walk; a tag that comes nearer has a positive Doppler shift."""
    away_m = walk.at_m(now_s) - antenna_m
    far_m = math.hypot(away_m, HEIGHT_M)
    later_m = math.hypot(walk.at_m(now_s + 0.01) - antenna_m, HEIGHT_M)
    hit = max(0.0, 1.0 - (far_m - HEIGHT_M) / (REACH_M - HEIGHT_M)) * 0.8
    rssi_cdbm = PEAK_CDBM - round(LOSS_CDB * math.log10(far_m / HEIGHT_M))
    phase = round(4096 * 2 * far_m / WAVE_M) % 4096
    doppler = round(16 * 2 * (far_m - later_m) / 0.01 / WAVE_M)
    return Sight(hit, rssi_cdbm, phase, doppler)
