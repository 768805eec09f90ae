"""After a damaged database was salvaged: what labels show is no longer known for sure. Pure.

Rows of the glass may be lost, so every bound label counts as showing what the tills charged last: by the safe switch no
label showed less. Tills may follow a fall, but no rise before the glass is proven again; all labels are pushed again.
Revisions go on above anything used before, so that no picture can be taken for an old one.
"""

from dataclasses import replace
from datetime import datetime

from gateway.messages import GATEWAY
from gateway.notes import FaceRow, GlassKept, Kept

VIA = "before the damage"


def doubted(kept: Kept, now: datetime) -> Kept:
    """Return the state with every label in doubt."""
    rows = {row.label: row for row in kept.glasses}
    labels = sorted({*rows, *kept.bindings})
    return replace(kept, glasses=[_doubt(label, rows.get(label), kept, now) for label in labels])


def _doubt(label: str, row: GlassKept | None, kept: Kept, now: datetime) -> GlassKept:
    floor = int(now.timestamp())  # one push a second since 1970 is more than any label got
    before = () if row is None else row.entries
    gtin = kept.bindings.get(label, (0, None, None))[1]
    price = None if gtin is None else _lowest(gtin, kept)
    unknown: tuple[FaceRow, ...] = ()
    if gtin is not None and price is not None:
        unknown = ((floor, VIA, gtin, price, None, "unknown", "settled", now.timestamp()),)
    return GlassKept(
        at=now,
        source=GATEWAY,
        label=label,
        revision=max(floor, 0 if row is None else row.revision),
        doubted=True,
        entries=(*before, *unknown),
    )


def _lowest(gtin: str, kept: Kept) -> int | None:
    """Return the lowest price that a label of this product may show: the last charge, or all that the book has."""
    charge = kept.charges.get(gtin)
    if charge is not None and charge.price_minor is not None and not charge.forced:
        return charge.price_minor
    booked = [line.price_minor for wave in kept.waves for line in wave.lines if line.gtin == gtin]
    return min(booked, default=None)
