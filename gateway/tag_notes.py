"""What the rule of items tells the store to keep: commands that never leave it. Tables: `store/apply_items.py`.

Each note carries the whole new state of one thing. `KeptItems` is what the store gives back at start; the rule makes
its state anew from it (`rules/items.py`). Raw reads are never kept: of an item that goes by a door there is only how
often each side heard it. Not here: facts that go to head office (`messages/tags.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import SkipValidation

from gateway.messages import Command, Gtin

TagState = Literal["present", "absent", "sold", "left"]


class PassageSoFar(NamedTuple):
    """An item at a door: reads on each side (3 = three or more), and the last of them (UTC microseconds)."""

    zone: str
    inner: int
    inner_us: int
    outer: int
    outer_us: int


class KeptTag(NamedTuple):
    """One item. Times are UTC microseconds.

    `antenna` hears it best; `gap_us` is the mean time between two hearings; `until_us`: a sold one is forgotten then.
    `alarm`: the id of its open exit alarm; `inbound`: it came at goods in, and nobody was told that it was received.
    `door_cdbm`: it lies near a door, whose outer side hears it so loud at most.
    """

    epc: str
    gtin: str | None
    state: TagState
    zone: str | None
    antenna: str | None
    last_us: int
    gap_us: int
    until_us: int | None = None
    alarm: str | None = None
    inbound: bool = False
    door_cdbm: int | None = None
    passage: PassageSoFar | None = None


class TagKept(Command):
    """The state of one item."""

    tag: SkipValidation[KeptTag]


class TagsForgotten(Command):
    """Nothing is to be known of these items any more: sold and gone, or not heard of for too long."""

    epcs: SkipValidation[tuple[str, ...]]


Credit = tuple[int, int]  # pieces, and until when they may leave (UTC microseconds)


class CreditKept(Command):
    """Pieces of a product that were sold without saying which ones, oldest first, and have not left yet."""

    gtin: Gtin
    credits: SkipValidation[tuple[Credit, ...]]


# What the store gives back at start


@dataclass
class KeptItems:
    """The whole state. `products`: what is in head office's item master; `requests`: commands that came before."""

    tags: Sequence[KeptTag] = ()
    credits: dict[str, tuple[Credit, ...]] = field(default_factory=dict)
    products: Sequence[str] = ()
    requests: Sequence[str] = ()
