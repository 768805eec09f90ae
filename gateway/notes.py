"""What Pricing tells the store to keep: commands that never leave it. Their tables are in `store/apply_prices.py`.

Each note carries the whole new state of one thing, so that applying it needs no second copy of Pricing's logic.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from gateway.messages import Command, Gtin, Label, PriceLine, PricePart, Product, Terminal, Wave


class WaveKept(Command):
    """A complete wave with its good lines; parts of it kept so far are obsolete."""

    wave: Wave
    lines: tuple[PriceLine, ...]


class HeadKept(Command):
    """A wave that was refused as a whole: its id stays known."""

    wave: Wave


class WaveState(Command):
    """How far a wave is."""

    wave: str
    withdrawn_at: datetime | None
    announced: bool
    converged: bool
    staged: bool
    excepted: bool


class PartKept(Command):
    """A part of a wave that is not complete yet."""

    part: PricePart


class LinesGone(Command):
    """These lines can never matter again; `whole` = the wave has none left.

    The wave's id stays known, so that a replay is a no-op.
    """

    wave: str
    gtins: tuple[Gtin, ...]
    whole: bool


class BindingKept(Command):
    """A label's binding by the order of this sequence."""

    label: Label
    gtin: Gtin | None
    facing: str | None
    sequence: int


FaceRow = tuple[int, str, str | None, int | None, str | None, str, Literal["sent", "settled", "proven"], float, str]


class GlassKept(Command):
    """Everything that one label may show; the rows are `prices.glass.Entry`."""

    label: Label
    revision: int
    doubted: bool
    entries: tuple[FaceRow, ...]


class LeaseKept(Command):
    """A till may sell from its cache, which holds the prices of this version; null = its lease is over."""

    terminal: Terminal
    version: int | None
    lease_s: int = 0


class VersionFloor(Command):
    """Price versions up to this one may have been given out for other prices: rows of them were lost."""

    version: int


class FacesStaged(Command):
    """LabelSync has rendered the faces of a wave."""

    wave: str
    faces: int
    refused: int


# What the store gives back at start


@dataclass(frozen=True)
class KeptWave:
    """A wave in the book, and how far it was."""

    wave: Wave
    lines: tuple[PriceLine, ...]
    state: WaveState | None = None


@dataclass
class KeptCharge:
    """What the tills charge for a product; null = it has no price."""

    price_minor: int | None
    wave: str | None
    forced: bool = False
    version: int = 0


class Superseded(NamedTuple):
    """A price that was charged until `version`; tills that sell from a cache may still charge it."""

    version: int
    gtin: str
    price_minor: int | None


@dataclass
class Kept:
    """Pricing's whole state.

    `leases`: terminal -> version of its cache; `lease_s`: for how long; `version`: no older cache counts.
    `heads`: (wave, refused); `bindings`: label -> (sequence, gtin, facing); `wanted`: gtin -> (price, wave).
    """

    now: datetime
    waves: list[KeptWave] = field(default_factory=list)
    heads: list[tuple[Wave, bool]] = field(default_factory=list)
    parts: list[PricePart] = field(default_factory=list)
    products: dict[str, tuple[int, Product]] = field(default_factory=dict)
    bindings: dict[str, tuple[int, str | None, str | None]] = field(default_factory=dict)
    full: dict[str, int] = field(default_factory=dict)
    glasses: list[GlassKept] = field(default_factory=list)
    charges: dict[str, KeptCharge] = field(default_factory=dict)
    wanted: dict[str, tuple[int, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    superseded: list[Superseded] = field(default_factory=list)
    leases: dict[str, int] = field(default_factory=dict)
    lease_s: dict[str, int] = field(default_factory=dict)
    version: int = 0
