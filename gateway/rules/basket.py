"""One basket at a till: closed, open, paying, paid, closed again. It says when something was sold, and what exactly.

Sums are exact integers of the minor unit. What was sold once is remembered by line, so that a later payment, a void
after payment or an event that came late sells the difference and nothing twice.
Not here: which baskets there are (`open_baskets.py`), facts (`sale_facts.py`), what looks odd (`loss.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, NamedTuple

from gateway.messages import (
    ItemAdded,
    ItemQuantityChanged,
    ItemRepriced,
    ItemVoided,
    Payment,
    ShelfThen,
    TenderSum,
    TillEvent,
    Wire,
)

MOST_MINOR = 5 * 10**11  # beyond it is no shopping: a line or payment that would pass it is left out, and said
MOST_SAID = 3  # of those
MOST_DONE = 1_000
OPENING = frozenset({"basket.opened", "item.added", "payment.succeeded"})  # kinds that begin a basket


Change = ItemAdded | ItemVoided | ItemQuantityChanged | ItemRepriced
CHANGES = (ItemAdded, ItemVoided, ItemQuantityChanged, ItemRepriced)


class Stage(Enum):
    """How far a basket is. `CLOSED` is before and after; `LEFT` was told as abandoned, and may still go on."""

    CLOSED = "closed"
    OPEN = "open"
    PAYING = "paying"
    PAID = "paid"
    LEFT = "left"


class Sum(NamedTuple):
    """How much of a line: what it is now, what was sold of it, or the difference."""

    thousandths: int
    weight_mg: int
    amount_minor: int
    discount_minor: int

    def less(self, other: "Sum") -> "Sum":
        """Return the difference."""
        if other is NOTHING:
            return self
        return Sum(*(mine - its for mine, its in zip(self, other, strict=True)))


NOTHING = Sum(0, 0, 0, 0)


@dataclass(slots=True)
class Line:
    """A line as the till said it last. `at` and `shelf` are of its scan."""

    at: datetime
    item: ItemAdded
    shelf: ShelfThen | None
    quantity: int
    unit_price_minor: int
    amount_minor: int
    price_version: int | None
    live: bool = True
    sold: Sum = NOTHING

    def now(self) -> Sum:
        """Return what the line is now; nothing when it was voided."""
        if not self.live:
            return NOTHING
        return Sum(self.quantity * 1000, self.item.weight_mg or 0, self.amount_minor, self.item.discount_minor)


class SoldLine(NamedTuple):
    """What is sold of a line now; negative = it goes back."""

    line: Line
    more: Sum
    replaced: bool = False  # the till used its number again since


class Settled(NamedTuple):
    """A basket, or what was added to it since, ended. Of one that was not paid, `sold` is empty.

    `problem` says that the till's own sums do not agree.
    """

    outcome: Literal["paid", "abandoned", "voided"]
    sold: tuple[SoldLine, ...]
    lines: int
    voided: int
    amount_minor: int
    tenders: tuple[TenderSum, ...]
    problem: str | None


class Basket:
    """The state machine. `hear` takes what the till said, in order; late events too."""

    def __init__(self) -> None:
        self.stage = Stage.CLOSED
        self.opened_at: datetime | None = None
        self.lines: dict[int, Line] = {}
        self.due_minor = 0
        self.paid_minor = 0
        self.currency: str | None = None
        self.unsold = False  # a line changed since it was paid
        self.settled_seq: int | None = None  # of the event by which it was paid last
        self._done: list[Line] = []  # sold lines whose number the till used again: the newest, and those to settle
        self._tenders: list[Payment] = []
        self._voided = 0
        self._left_out: list[str] = []
        self._given_up = False  # it was told as abandoned, and is not told so again

    def hear(self, event: TillEvent, body: Wire | None, *, late: bool = False) -> Settled | None:
        """Take one event; return what it settled."""
        if isinstance(body, CHANGES):  # nearly always
            return self._change(event, body, late=late)
        match event.kind, body:
            case "basket.opened", _:
                self._open(event)
            case "basket.closed", _:
                return self._close(event.seq)
            case "basket.abandoned", _:
                return self.abandon()
            case "payment.started", _ if self.stage in (Stage.OPEN, Stage.CLOSED, Stage.LEFT):
                self.stage = Stage.PAYING
            case "payment.failed", _ if self.stage is Stage.PAYING:
                self.stage = Stage.OPEN
            case "payment.succeeded", Payment():
                return self._pay(event.seq, body)
        return None

    def abandon(self) -> Settled | None:
        """End it unpaid. None when there is nothing to tell: it was settled before, or ended."""
        was, self.stage = self.stage, Stage.CLOSED
        if was is Stage.PAID and self._tenders:
            return self._settle(self.settled_seq or 0)  # paid too much, and nobody said how it went on
        if was is Stage.CLOSED or self.settled_seq is not None or self._given_up:
            return None
        live = [line for line in self.lines.values() if line.live]
        return self._ended("abandoned", (), len(live), sum(line.amount_minor for line in live))

    @property
    def unfinished(self) -> bool:
        """Tell whether it has lines or money, and nobody said how it ended."""
        going = self.stage in (Stage.OPEN, Stage.PAYING, Stage.LEFT)
        return going and bool(self.lines or self.paid_minor)

    def leave(self) -> Settled | None:
        """Take it for abandoned, but keep its lines: it may go on where it was."""
        settled = self.abandon()
        self.stage, self._given_up = Stage.LEFT, True
        return settled

    def all_lines(self) -> list[Line]:
        """Return every line that is or was in it."""
        return [*self._done, *self.lines.values()]

    def _open(self, event: TillEvent) -> None:
        if self.opened_at is None:
            self.opened_at = event.at
        if self.stage is Stage.LEFT or (self.stage is Stage.CLOSED and self.settled_seq is None):
            self.stage = Stage.OPEN

    def _close(self, seq: int) -> Settled | None:
        live, paid = any(line.live for line in self.lines.values()), bool(self._tenders)
        over = self.stage is Stage.LEFT or self.settled_seq is not None
        if self.stage is Stage.CLOSED or (over and not paid):
            self.stage = Stage.CLOSED
            return None
        if not paid and not live:
            self.stage = Stage.CLOSED
            return self._ended("voided", (), 0, 0)
        if not paid and self.due_minor:
            return self.abandon()
        settled, self.stage = self._settle(seq), Stage.CLOSED
        return settled

    def _pay(self, seq: int, payment: Payment) -> Settled | None:
        if abs(self.paid_minor + payment.amount_minor) > MOST_MINOR:
            self._leave_out(f"a payment of {payment.amount_minor}")
            return None
        self.paid_minor += payment.amount_minor
        self.currency = self.currency or payment.currency
        self._tenders.append(payment)
        if self.paid_minor < self.due_minor:
            self.stage = Stage.PAYING
            return None
        self.stage = Stage.PAID
        if self.paid_minor > self.due_minor:
            return None  # change is still to be given: that comes as a payment below zero, or the basket is closed
        return self._settle(seq)

    def _change(self, event: TillEvent, change: Change, *, late: bool) -> Settled | None:
        self._edit(event, change)
        if late and self.settled_seq is not None and event.seq < self.settled_seq:
            return self._settle(event.seq)  # it was in the basket when that was paid
        if self.stage is not Stage.PAYING:
            self.stage = Stage.OPEN
        return None

    def _edit(self, event: TillEvent, change: Change) -> None:
        self.unsold = True
        line = self.lines.get(change.line)
        if isinstance(change, ItemAdded):
            self._add(event, change, line)
        elif line is None or not line.live:
            return
        elif isinstance(change, ItemVoided):
            line.live = False
            self.due_minor -= line.amount_minor
            self._voided += 1
        elif self._fits(change, line.amount_minor):
            if isinstance(change, ItemRepriced):
                line.unit_price_minor, line.price_version = change.unit_price_minor, change.price_version
            else:
                line.quantity = change.quantity
            line.amount_minor = change.amount_minor

    def _add(self, event: TillEvent, item: ItemAdded, before: Line | None) -> None:
        if not self._fits(item, before.amount_minor if before and before.live and before.sold == NOTHING else 0):
            return
        if before is not None and before.sold != NOTHING:
            self._put_by(before)
        self.currency = self.currency or item.currency
        self.lines[item.line] = Line(
            event.at,
            item,
            event.shelf,
            item.quantity,
            item.unit_price_minor,
            item.amount_minor,
            item.price_version,
        )

    def _put_by(self, line: Line) -> None:
        """Keep a line whose number is used again. One that is not settled stays; each number has one at most."""
        self._done.append(line)
        if len(self._done) > MOST_DONE:
            settled = (at for at, one in enumerate(self._done) if one.now() == one.sold)
            oldest = next(settled, None)
            if oldest is not None:
                del self._done[oldest]

    def _fits(self, change: ItemAdded | ItemQuantityChanged | ItemRepriced, instead_of_minor: int) -> bool:
        due = self.due_minor + change.amount_minor - instead_of_minor
        if max(abs(due), abs(change.amount_minor)) > MOST_MINOR:
            self._leave_out(f"line {change.line} of {change.amount_minor}")
            return False
        self.due_minor = due
        return True

    def _leave_out(self, what: str) -> None:
        self._left_out = [*self._left_out, f"{what} is left out"][:MOST_SAID]

    def _settle(self, seq: int) -> Settled | None:
        sold = []
        for line in self.all_lines():
            now = line.now()
            if now != line.sold:
                replaced = self.lines[line.item.line] is not line
                sold.append(SoldLine(line, now.less(line.sold), replaced))
                line.sold = now
        if self.settled_seq is not None and not sold and not self._tenders:
            return None
        self.settled_seq, self.unsold = max(seq, self.settled_seq or 0), False
        return self._ended("paid", tuple(sold), len(sold), sum(one.more.amount_minor for one in sold))

    def _ended(
        self, outcome: Literal["paid", "abandoned", "voided"], sold: tuple[SoldLine, ...], lines: int, amount_minor: int
    ) -> Settled:
        tenders = tuple(TenderSum(tender=one.tender or "other", amount_minor=one.amount_minor) for one in self._tenders)
        settled = Settled(outcome, sold, lines, self._voided, amount_minor, tenders, self._problem(outcome))
        self._tenders, self._voided = [], 0
        return settled

    def _problem(self, outcome: str) -> str | None:
        due = self.due_minor if outcome == "paid" else 0
        said = [] if self.paid_minor == due else [f"paid {self.paid_minor}, sold for {due} (minor units)"]
        other = {line.item.currency for line in self.all_lines()} - {self.currency}
        said += [f"lines in {', '.join(sorted(other))} and {self.currency}"] if other else []
        return "; ".join([*said, *self._left_out]) or None
