"""After the database was damaged, restored or lost its end: what labels show is no longer known for sure. Pure.

Every label is pushed again, with revisions above anything used before. And because labels may show prices of which no
row is left (unbound ones too), a ghost label counts for every product with the lowest price known of it: tills may
follow a fall, but no price rises until a person has seen that all labels are pushed, and signs the ghost off.
Tills with a cache may charge anything until the longest lease is over: a ghost till keeps every label as it is.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from gateway.messages import GATEWAY, AlarmRaised, Command
from gateway.notes import FaceRow, GlassKept, Kept, LeaseKept, VersionFloor
from gateway.prices.leases import NEVER

GHOST = "F" * 16
GHOST_TILL = "unknown-till"
VERSIONS_LOST = 1_000_000  # more prices than can have been given out without a row of them being left
VIA = "before the damage"


def doubted(kept: Kept, now: datetime, *, caching: bool = False) -> Kept:
    """Return the state with every label in doubt, and the ghosts. `caching`: tills of this shop may have a cache."""
    floor = int(now.timestamp())  # one push a second since 1970 is more than any label got
    rows = {row.label: row for row in kept.glasses if row.label != GHOST}
    known = sorted({*rows, *kept.bindings})
    glasses = [_glass(label, rows[label].entries if label in rows else (), floor, now) for label in known]
    unknown: tuple[FaceRow, ...] = tuple(
        (floor, VIA, gtin, price, None, "unknown", "settled", now.timestamp(), "") for gtin, price in _lowest(kept)
    )
    version = max([kept.version, *(charge.version for charge in kept.charges.values())]) + VERSIONS_LOST
    ghosts = dict.fromkeys([*kept.leases, GHOST_TILL] if caching else kept.leases, NEVER)
    return replace(kept, glasses=[*glasses, _glass(GHOST, unknown, floor, now)], version=version, leases=ghosts)


def doubts(kept: Kept, now: datetime) -> list[Command]:
    """Return what of `doubted` must be kept, so that a second start knows of it."""
    leases = [
        LeaseKept(at=now, source=GATEWAY, terminal=terminal, version=version, lease_s=kept.lease_s.get(terminal, 0))
        for terminal, version in kept.leases.items()
    ]
    return [*kept.glasses, *leases, VersionFloor(at=now, source=GATEWAY, version=kept.version)]


def alarm(reason: str, now: datetime) -> AlarmRaised:
    """Return what a person must do."""
    return AlarmRaised(
        at=now,
        source=GATEWAY,
        alarm="glass_unknown",
        text=f"what labels show is not known for sure: {reason}; no price rises until it is",
        next_step=f"let head office send all prices and bindings again; when all labels are pushed, sign off {GHOST}",
    )


def _glass(label: str, entries: tuple[FaceRow, ...], floor: int, now: datetime) -> GlassKept:
    return GlassKept(at=now, source=GATEWAY, label=label, revision=floor, doubted=True, entries=entries)


def _lowest(kept: Kept) -> Iterator[tuple[str, int]]:
    prices: dict[str, list[int]] = {}
    for gtin, charge in kept.charges.items():
        if charge.price_minor is not None:
            prices.setdefault(gtin, []).append(charge.price_minor)
    for wave in kept.waves:
        for line in wave.lines:
            prices.setdefault(line.gtin, []).append(line.price_minor)
    for row in kept.glasses:
        for entry in row.entries:
            if entry[2] is not None and entry[3] is not None:
                prices.setdefault(entry[2], []).append(entry[3])
    for gtin in sorted(prices):
        yield gtin, min(prices[gtin])
