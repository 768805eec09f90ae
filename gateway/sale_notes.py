"""What the rules of sales tell the store to keep: commands that never leave it. Tables: `store/apply_sales.py`.

Each note carries the whole new state of one thing. `KeptSales` is what the store gives back at start; the rules make
their state anew from it (`rules/sales.py`). Not here: facts that go to head office (`messages/sales.py`).
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from typing import Literal, NamedTuple

from pydantic import SkipValidation

from gateway.messages import BasketId, Command, Gtin, Outcome, PosTransaction, Terminal, TillEvent

Gap = tuple[int, int]  # first and last number, both included
Unit = Literal["piece", "mg"]


class TillOutcomes(Command):
    """What became of a terminal's events, in the order sent: the answer, once this is committed.

    Of an imported transaction too; then `event_id` is its natural key.
    """

    terminal: Terminal
    outcomes: tuple[Outcome, ...]


class EventKept(NamedTuple):
    """An accepted event. `turn` counts what was applied at its terminal, in that order; null = it waits for others.

    `basket` is the one that it was applied to. `late`: its number had been given up.
    """

    event: TillEvent
    turn: int | None
    basket: str | None
    late: bool = False


class EventApplied(NamedTuple):
    """An event that had waited was applied."""

    seq: int
    turn: int
    basket: str | None


class TillLogKept(Command):
    """What a terminal's log got at once: new events, and those that had waited and were applied.

    `ack`: up to this number every event of the terminal has come, or was given up. `turn`: the last one given.
    """

    terminal: Terminal
    ack: int
    turn: int
    kept: SkipValidation[tuple[EventKept, ...]] = ()
    applied: SkipValidation[tuple[EventApplied, ...]] = ()


class TillGapsKept(Command):
    """Numbers of a terminal that were given up, all of them. Late ones are still taken."""

    terminal: Terminal
    gaps: tuple[Gap, ...]


class BasketBegun(Command):
    """A basket lives from this turn on; a replay begins there, with this weight in the bagging area.

    Said again when the basket was taken for abandoned, with the turns after which it was: its lines are kept.
    """

    terminal: Terminal
    basket: BasketId
    turn: int
    bag_mg: int
    left: tuple[int, ...] = ()


class BasketOver(Command):
    """A basket is forgotten: nothing needs its events any more."""

    terminal: Terminal
    basket: BasketId


class MinuteKept(NamedTuple):
    """How a minute was used so far. `minute` counts from 1970."""

    minute: int
    busy_s: float
    baskets: int
    abandoned: int
    lines: int
    queue_max: int | None
    wait_s: float | None


class TerminalKept(Command):
    """How a terminal is being used, after `turn`; later turns are replayed on top of it."""

    terminal: Terminal
    turn: int
    told: int
    last_s: float
    last_received: datetime
    busy: bool
    queue: int | None
    bag_mg: int
    minutes: tuple[MinuteKept, ...]


class PosKept(Command):
    """An imported transaction; `digest` names what it says."""

    key: str
    digest: str
    transaction: PosTransaction


class StockCounted(Command):
    """Somebody counted, or goods came: `count` sets what is on hand, `received` adds to it."""

    gtin: Gtin
    amount: int
    unit: Unit = "piece"
    reason: Literal["count", "received"] = "count"


class WeightKept(Command):
    """The newest weights of one unit of a product, oldest first."""

    gtin: Gtin
    samples_mg: tuple[int, ...]


class SalesPruned(Command):
    """Events received before, of baskets that are over, may go; and transactions of business days before."""

    events_before: datetime
    days_before: date


# What the store gives back at start


class SeenDay(NamedTuple):
    """The imported transactions of one business day: keys and what each said, as numbers, sorted by key."""

    keys: "array[int]"  # Python 3.11 cannot subscript it
    digests: "array[int]"


def number_of(text: str) -> int:
    """Return the 64 bits by which a key or digest is remembered."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class SeenEvent(NamedTuple):
    """What a repeat of an event is recognised by."""

    seq: int
    event_id: str
    digest: str


class Replayed(NamedTuple):
    """An event to apply again, as it was applied: `basket` is the one that it went to."""

    turn: int
    basket: str | None
    event: TillEvent
    late: bool


@dataclass
class KeptLog:
    """The log of one terminal. `turn` is the last one given; `seen` are its newest events, oldest first."""

    ack: int = 0
    turn: int = 0
    gaps: Sequence[Gap] = ()
    seen: Sequence[SeenEvent] = ()
    waiting: Sequence[TillEvent] = ()


@dataclass
class KeptSales:
    """The whole state of the rules of sales.

    `replay`: by terminal, the turns of living baskets, those after its state, and the newest, in order; `weights`:
    gtin -> samples in mg; `catalogue`: gtin -> weight in mg; `transactions`: day -> keys; `bodies`: the newest.
    """

    logs: dict[str, KeptLog] = field(default_factory=dict)
    baskets: list[BasketBegun] = field(default_factory=list)
    terminals: list[TerminalKept] = field(default_factory=list)
    replay: dict[str, list[Replayed]] = field(default_factory=dict)
    stock: dict[tuple[str, Unit], int] = field(default_factory=dict)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    catalogue: dict[str, int] = field(default_factory=dict)
    transactions: dict[date, SeenDay] = field(default_factory=dict)
    bodies: Sequence[PosTransaction] = ()
