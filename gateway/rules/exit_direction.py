"""Which way an item went through a door: from the order in which its two sides heard it, and how loud.

Out: the inner side hears it before the outer side, both within seconds; it grows louder towards the door and fainter
behind it; three reads at least. `score` is the probability that a read of the outer side comes after one of the inner
side, each pair counted by its strength: 1 = out, 0 = in, near a half = somebody turned round, or it lies there.
Two weaker rules, each with score 0.5: an item that is known to be inside and is heard only outside, fading away; and a
door with one side only, where an item grows louder, fainter, and is then heard nowhere. That cannot tell in from out:
an item that comes back in there is known only when a zone of the shop hears it. What is sold: `exit_gate.py`.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from gateway.messages import GATEWAY

SECOND_US = 1_000_000
SURE = 0.8
WEAK = 0.5  # score of the weaker rules
LEAST_READS = 3
UNTOLD = ""  # the antenna of reads before a restart: how many there were is known, and no more
ACROSS_US = 3 * SECOND_US  # from the inner side to the outer one
SWELL_CDB = 600  # rise and fall together
SLOPE_CDB = 300  # each of them, where nothing else tells the direction


class DoorRead(NamedTuple):
    """One read at a door; `cdbm` None: no power is known. `seen`: reads that it stands for."""

    at_us: int
    outside: bool
    cdbm: int | None
    antenna: str
    seen: int = 1


class Verdict(NamedTuple):
    """An item went this way; `at_us` is the last read. `reads` are the evidence."""

    way: Literal["out", "in"]
    score: float
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
    rise, fall = _slopes(reads)
    if inner and outer:
        score = _outer_after_inner(inner, outer)
        if not (_across(inner, outer) and rise + fall >= SWELL_CDB and (quiet or fall >= SLOPE_CDB)):
            return None
        if score >= SURE:
            return _verdict("out", score, reads)
        return _verdict("in", score, reads) if score <= 1 - SURE else None
    known_inside = two_sided and bool(outer) and rise + fall >= SWELL_CDB and fall >= SLOPE_CDB
    one_sided = not two_sided and rise >= SLOPE_CDB and fall >= SLOPE_CDB
    return _verdict("out", WEAK, reads) if quiet and (known_inside or one_sided) else None


def _verdict(way: Literal["out", "in"], score: float, reads: Sequence[DoorRead]) -> Verdict:
    last, reader = reads[-1], reads[-1].antenna.rpartition(":")[0]
    return Verdict(way, round(score, 3), last.at_us, reader or GATEWAY, tuple(reads))


def _outer_after_inner(inner: Sequence[DoorRead], outer: Sequence[DoorRead]) -> float:
    after = whole = 0.0
    for one in inner:
        for other in outer:
            pair = _amplitude(one) * _amplitude(other)
            whole += pair
            after += pair * ((other.at_us > one.at_us) + 0.5 * (other.at_us == one.at_us))
    return after / whole


def _amplitude(read: DoorRead) -> float:
    return 1.0 if read.cdbm is None else float(10.0 ** (read.cdbm / 2000))


def _across(inner: Sequence[DoorRead], outer: Sequence[DoorRead]) -> bool:
    """Tell whether one side was heard soon after the other."""
    return min(abs(other.at_us - one.at_us) for one in inner for other in outer) <= ACROSS_US


def _slopes(reads: Sequence[DoorRead]) -> tuple[float, float]:
    """Return by how much the power rises to its highest and falls from it, smoothed; without power: enough."""
    levels = [read.cdbm for read in reads if read.cdbm is not None]
    if len(levels) < len(reads):
        return SWELL_CDB, SWELL_CDB
    width = max(1, len(levels) // 4)
    smooth = [sum(levels[n : n + width]) / width for n in range(len(levels) - width + 1)]
    top = max(smooth)
    return top - smooth[0], top - smooth[-1]
