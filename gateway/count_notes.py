"""What counts tell the store to keep: commands that never leave it. Tables: `store/apply_counts.py`.

`KeptCounts` is what the store gives back at start: the counts that were open go on with all that was written of them.
Not here: facts for head office (`messages/tags.py`), which reads were heard (they are never stored).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import SkipValidation

from gateway.messages import Command, CountRow, Epc, Gtin, SessionId, ZoneId

CountKind = Literal["count", "receiving"]
Ended = Literal["command", "complete", "time_limit", "cancelled"]


class ExpectedItem(NamedTuple):
    """An item that should be there, and where it was last."""

    epc: str
    gtin: str | None
    zone: str


class SeenItem(NamedTuple):
    """An item that was heard: best zone so far with its power, and in how many slots of time (3 = three or more)."""

    epc: str
    gtin: str | None
    zone: str
    rssi_cdbm: int
    slots: int
    last_slot: int


class CountOpened(Command):
    """A count began. `lines`: what a delivery should hold, (GTIN, pieces); null = the items of `expected` count."""

    session: SessionId
    kind: CountKind
    zones: tuple[ZoneId, ...]
    limit_s: float
    document: str | None
    expected: SkipValidation[tuple[ExpectedItem, ...]]
    lines: tuple[tuple[Gtin, int], ...] | None


class CountSeen(Command):
    """What was heard since the note before; `reads` and `slots` are those of the whole count so far."""

    session: SessionId
    items: SkipValidation[tuple[SeenItem, ...]]
    reads: int
    slots: int


class Counted(NamedTuple):
    """What there is of a product by a count of the whole shop; `confidence` that the rest is gone."""

    gtin: str
    amount: int
    confidence: float


class CountClosed(Command):
    """A count ended. `counted` is null when it says nothing of the whole shop: part of it, or too much unheard.

    `items`: what became of each, (EPC, verdict); what is not in it was neither expected nor heard.
    """

    session: SessionId
    ended: Ended
    coverage: float | None
    items: SkipValidation[tuple[tuple[Epc, Literal["found", "missing", "unexpected", "elsewhere", "gone"]], ...]]
    rows: SkipValidation[tuple[CountRow, ...]]
    counted: SkipValidation[tuple[Counted, ...]] | None


class StockBase(Command):
    """What a count of the whole shop found of a product, `at` when, and the pieces that came and were sold since."""

    gtin: Gtin
    before: int
    received: int
    sold: int


# What the store gives back at start


@dataclass
class KeptCount:
    """A count that is open."""

    opened: CountOpened
    seen: list[SeenItem]
    reads: int = 0
    slots: int = 0


@dataclass
class KeptCounts:
    """The whole state. `ended`: the newest counts that are over, and when: a repeated start of one is a no-op."""

    open: list[KeptCount] = field(default_factory=list)
    ended: Mapping[str, datetime] = field(default_factory=dict)
    bases: list[StockBase] = field(default_factory=list)
