"""What a POSLog document becomes: transactions with lines, tenders and totals, and what could not be read.

Plain values for a driver that turns them into facts. Not for how they are read: `_poslog.py` is the way in.
Money is an integer of the minor unit, weight integer mg, quantity integer thousandths, times UTC.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Kind = Literal["sale", "return", "void", "other"]
TenderKind = Literal[
    "cash", "credit_debit", "wallet", "voucher", "gift_card", "coupon", "check", "account", "rounding", "other"
]


@dataclass(frozen=True, slots=True)
class PosLine:
    """One item line. What went back to the shop (`returned`) has a negative quantity and a negative amount.

    `gtin` has 14 digits and a right check digit; in-store numbers (prefix 2) pass as they stand, the shop's layouts are
    not known here. `item` is the till's own number, `raw` what was scanned. `unit` is the document's unit of measure;
    `weight_mg` (never negative) is set when it is a mass. `amount_minor` is what the customer pays: discounts are off.
    """

    number: int
    gtin: str | None
    item: str | None
    raw: str | None
    quantity_thousandths: int
    unit: str | None
    weight_mg: int | None
    unit_price_minor: int | None
    amount_minor: int
    discount_minor: int
    voided: bool
    returned: bool


@dataclass(frozen=True, slots=True)
class PosTender:
    """One payment; money given out (change, cashback, refund) is negative. `name` is the till's own name of it."""

    kind: TenderKind
    name: str
    amount_minor: int
    voided: bool = False


@dataclass(frozen=True, slots=True)
class PosLink:
    """The earlier transaction that this one refers to, as far as the document names it."""

    reason: str
    store: str | None
    workstation: str | None
    business_day: date | None
    sequence: int | str | None


@dataclass(frozen=True, slots=True)
class PosTransaction:
    """One transaction. Store, workstation, business day and sequence are its natural key: the same again is a repeat.

    `why` says what made it `void` or `other` (training, cancelled, suspended ...). `discount_minor` comes off the sum
    of the lines. `totals` are pairs of the document's name and minor units. `unknown` counts elements that were not
    understood, `problems` says what does not fit together; neither keeps a transaction from being read.
    """

    store: str
    workstation: str
    business_day: date
    sequence: int | str
    kind: Kind
    why: str
    begin: datetime | None
    end: datetime | None
    currency: str | None
    lines: tuple[PosLine, ...]
    discount_minor: int
    tenders: tuple[PosTender, ...]
    totals: tuple[tuple[str, int], ...]
    link: PosLink | None
    unknown: tuple[tuple[str, int], ...]
    problems: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, date, int | str]:
        """The natural key."""
        return self.store, self.workstation, self.business_day, self.sequence


@dataclass(frozen=True, slots=True)
class PosRefusal:
    """A transaction that was not taken: its place in the document (`index` counts from 1) and the reason."""

    index: int
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class PoslogLimits:
    """What a document may hold. Past `name_count`, `depth`, `attributes` or `token_bytes` it is no till's document."""

    document_bytes: int = 64 << 20
    transactions: int = 100_000
    elements: int = 20_000  # per transaction, of those that are read
    text_chars: int = 500  # per element that is read; the text of others passes by
    token_bytes: int = 128 << 10  # one tag with its attributes, or one comment
    attributes: int = 64
    depth: int = 64
    name_count: int = 5_000  # different names of elements and attributes
