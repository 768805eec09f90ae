"""Which way an item went through a door: from the order in which its two sides heard it, and how loud.

Out: the inner side hears it before the outer side, both within seconds; it grows louder towards the door and fainter
behind it; three reads at least. When a side heard it is the mean of its reads by power, so that the moment under the
antenna counts. `score` is the probability that the outer side was later, by the spread of both: 1 = out, 0 = in, near a
half = somebody turned round, or it lies there.
Two weaker rules, each with score 0.5: an item that is known to be inside and is heard only outside, fading away; and a
door with one side only, where an item grows louder, fainter, and is then heard nowhere. That cannot tell in from out:
an item that comes back in there is known only when a zone of the shop hears it. What is sold: `exit_gate.py`.
"""

from collections.abc import Sequence
from math import erf, sqrt
from typing import Literal, NamedTuple

from gateway.messages import GATEWAY

SECOND_US = 1_000_000
SURE = 0.95
WEAK = 0.5  # score of the weaker rules
LEAST_READS = 3
UNTOLD = ""  # the antenna of reads before a restart: how many there were is known, and no more
ACROSS_US = 3 * SECOND_US  # from the inner side to the outer one
SPREAD_US = SECOND_US // 20  # no read is known better than this: rounds of an inventory
SWELL_CDB = 500  # rise and fall together, of many reads; of few they must be double, noise alone makes that much
SLOPE_CDB = 300  # each of them, where nothing else tells the direction


class DoorRead(NamedTuple):
    """One read at a door; `cdbm` None: no power is known. `seen`: reads that it stands for."""

    at_us: int
    outside: bool
    cdbm: int | None
    antenna: str
    seen: int = 1


class Verdict(NamedTuple):
    """An item went this way; `at_us` is the last read, `swell_cdb` its rise and fall. `reads` are the evidence."""

    way: Literal["out", "in"]
    score: float
    swell_cdb: float
    at_us: int
    reader: str
    reads: tuple[DoorRead, ...]


def judge(reads: Sequence[DoorRead], *, two_sided: bool, quiet: bool) -> Verdict | None:
    """Return which way, None if that is not clear (yet). `quiet`: it is not heard at the door any more."""
    if sum(read.seen for read in reads) < LEAST_READS:
        return None
    reads = sorted(reads, key=lambda read: (read.at_us, read.outside))
    inner = [read for read in reads if not read.outside]
    outer = [read for read in reads if read.outside]
    rise, fall, least = _slopes(reads)
    swell = rise + fall
    if swell < least:
        return None
    if inner and outer:
        score = _outer_later(inner, outer)
        if not _across(inner, outer) or 1 - SURE < score < SURE or not (quiet or fall >= SLOPE_CDB):
            return None
        return _verdict("out" if score >= SURE else "in", score, swell, reads)
    known_inside = two_sided and bool(outer) and fall >= SLOPE_CDB
    one_sided = not two_sided and rise >= SLOPE_CDB and fall >= SLOPE_CDB
    return _verdict("out", WEAK, swell, reads) if quiet and (known_inside or one_sided) else None


def _verdict(way: Literal["out", "in"], score: float, swell_cdb: float, reads: Sequence[DoorRead]) -> Verdict:
    last, reader = reads[-1], reads[-1].antenna.rpartition(":")[0]
    return Verdict(way, round(score, 3), swell_cdb, last.at_us, reader or GATEWAY, tuple(reads))


def _outer_later(inner: Sequence[DoorRead], outer: Sequence[DoorRead]) -> float:
    """Return how likely it is that the outer side heard it later (normal distribution of both means)."""
    inner_us, inner_variance = _when(inner)
    outer_us, outer_variance = _when(outer)
    deviations = (outer_us - inner_us) / sqrt(inner_variance + outer_variance)
    return 0.5 * (1 + erf(deviations / sqrt(2)))


def _when(reads: Sequence[DoorRead]) -> tuple[float, float]:
    """Return the mean time of reads by power, and its variance."""
    weights = [1.0 if read.cdbm is None else 10.0 ** (read.cdbm / 1000) for read in reads]
    whole = sum(weights)
    mean = sum(weight * read.at_us for weight, read in zip(weights, reads, strict=True)) / whole
    squares = sum(weight * (read.at_us - mean) ** 2 for weight, read in zip(weights, reads, strict=True))
    count = whole**2 / sum(weight**2 for weight in weights)  # how many reads of equal power say as much
    return mean, (squares / whole + SPREAD_US**2) / count


def _across(inner: Sequence[DoorRead], outer: Sequence[DoorRead]) -> bool:
    """Tell whether one side was heard soon after the other."""
    return min(abs(other.at_us - one.at_us) for one in inner for other in outer) <= ACROSS_US


def _slopes(reads: Sequence[DoorRead]) -> tuple[float, float, float]:
    """Return by how much the power, smoothed, rises to its highest and falls from it; and how much both must be."""
    levels = [read.cdbm for read in reads if read.cdbm is not None]
    if len(levels) < len(reads):
        return SWELL_CDB, SWELL_CDB, SWELL_CDB  # no power is known: the order must do
    width = max(1, len(levels) // 8)
    smooth = [sum(levels[n : n + width]) / width for n in range(len(levels) - width + 1)]
    top = max(smooth)
    return top - smooth[0], top - smooth[-1], SWELL_CDB * max(1.0, 2 / sqrt(width))
