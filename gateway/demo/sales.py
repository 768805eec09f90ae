"""What the demo's shoppers paid: the ground truth of the tills beside the shelf's, and beside what head office heard.

Pure. The promises: nobody is charged more than a label showed when the price was asked for or read; each paid line
arrives as exactly one `sale.line` of the same amount; no `price.mismatch`. A return gives money back, so its price is
not held against the shelf; its line must arrive like any other. Not here: the labels (`audit.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from gateway.demo.audit import Audit
from gateway.hq.wire import Event

NAMED = 10  # breaches of one kind that are told in words; the figures count all

Key = tuple[str, str, int]


class Paid(NamedTuple):
    """One line that a shopper paid, by the till's ground truth; `price_minor` is of one piece or kilogram."""

    terminal: str
    basket: str
    line: int
    gtin: str
    price_minor: int
    amount_minor: int
    priced_at: datetime
    from_cache: bool
    leased: bool

    @property
    def key(self) -> Key:
        """Return what names the line, at the till and at head office."""
        return self.terminal, self.basket, self.line


class Above(NamedTuple):
    """The promise was broken: a shopper was charged more than a label showed."""

    paid: Paid
    label: str
    shown_minor: int


class Beside(NamedTuple):
    """The paid lines beside the shelf. `changing`: how many were sold while a label did not show that price (yet)."""

    above: tuple[Above, ...] = ()
    changing: int = 0


@dataclass
class Sales:
    """Everything that was sold, as the tills know it and as head office heard it. `modes`: the tills there are."""

    modes: dict[str, str] = field(default_factory=dict)
    paid: dict[str, list[Paid]] = field(default_factory=dict)
    looked_at: dict[str, datetime] = field(default_factory=dict)
    heard: dict[Key, list[Event]] = field(default_factory=dict)
    mismatches: list[Event] = field(default_factory=list)

    def feed(self, event: Event) -> None:
        """Take a fact of the gateway; each once."""
        match event.type:
            case "sale.line":
                self.heard.setdefault(_key(event.data), []).append(event)
            case "price.mismatch":
                self.mismatches.append(event)

    def see(self, terminal: str, truth: Mapping[str, Any], asked_at: datetime) -> None:
        """Take the ground truth of one till, asked for at `asked_at`: its paid lines only ever grow in number."""
        known = self.paid.setdefault(terminal, [])
        known += [_paid(line) for line in truth["lines"][len(known) :]]
        self.looked_at[terminal] = asked_at

    def lines(self) -> list[Paid]:
        """Return every line that was paid."""
        return [line for lines in self.paid.values() for line in lines]

    def sum_minor(self) -> int:
        """Return what all tills took."""
        return sum(line.amount_minor for line in self.lines())

    def missing(self) -> list[Paid]:
        """Return paid lines that head office has not heard of."""
        return [line for line in self.lines() if line.key not in self.heard]

    def twice(self) -> list[Key]:
        """Return lines that head office heard of more than once."""
        return [key for key, events in self.heard.items() if len(events) > 1]

    def wrong(self) -> list[str]:
        """Return lines that head office heard of with another amount, and those that nobody paid."""
        paid = {line.key: line.amount_minor for line in self.lines()}
        return [
            f"line {_named(key)} arrived with {event.data['amount_minor']}, {paid.get(key, 'nothing')} was paid"
            for key, events in self.heard.items()
            for event in events
            if event.data["amount_minor"] != paid.get(key) and (key in paid or self._is_past(event))
        ]

    def _is_past(self, event: Event) -> bool:
        """Say whether the till's truth must hold this line: what was scanned after the last look, nobody can judge."""
        looked_at = self.looked_at.get(event.data["terminal"])
        return looked_at is None or event.at < looked_at

    def unleased(self) -> list[Paid]:
        """Return lines that a till sold from its cache without a lease."""
        return [line for line in self.lines() if line.from_cache and not line.leased]

    def idle(self) -> list[str]:
        """Return tills that did not yet sell in their own way, so that nothing is shown of it."""
        return [
            terminal
            for terminal, mode in self.modes.items()
            if not any(line.from_cache == (mode == "cache") for line in self.paid.get(terminal, ()))
        ]


def beside_shelf(lines: list[Paid], audit: Audit) -> Beside:
    """Hold each line against what every label of its product truly showed at that instant."""
    above: list[Above] = []
    changing = 0
    for line in lines:
        if line.amount_minor < 0:
            continue
        shown = audit.shown_at(line.gtin, line.priced_at)
        above += [Above(line, label, price) for label, price in shown.items() if price and line.price_minor > price]
        changing += any(price != line.price_minor for price in shown.values())
    return Beside(tuple(above), changing)


def breaches(sales: Sales, audit: Audit) -> Iterator[str]:
    """Yield each broken promise in words."""
    for line, label, shown in beside_shelf(sales.lines(), audit).above[:NAMED]:
        when = line.priced_at.isoformat()
        yield f"at {when} {line.terminal} sold {line.gtin} at {line.price_minor}, label {label} showed {shown}"
    yield from (f"line {_named(line.key)} never reached head office" for line in sales.missing()[:NAMED])
    yield from (f"line {_named(key)} reached head office more than once" for key in sales.twice()[:NAMED])
    yield from sales.wrong()[:NAMED]
    yield from (f"line {_named(line.key)} came from a cache without a lease" for line in sales.unleased()[:NAMED])
    for event in sales.mismatches[:NAMED]:
        said = event.data
        what = f"{said['charged_minor']} for {said['gtin']}: {said['direction']}"
        yield f"the gateway says that {said['terminal']} charged {what}"
    yield from (f"till {terminal} sold nothing {_WAY[sales.modes[terminal]]}" for terminal in sales.idle())


_WAY = {"ask": "by asking", "cache": "from its cache"}


def _named(key: Key) -> str:
    terminal, basket, line = key
    return f"{line} of {terminal}'s basket {basket}"


def _key(data: Mapping[str, Any]) -> Key:
    return data["terminal"], data["basket"], data["line"]


def _paid(line: Mapping[str, Any]) -> Paid:
    """Take the higher one of the prices at the scan and at payment: neither may be above the shelf."""
    return Paid(
        *_key(line),
        gtin=line["gtin"],
        price_minor=max(line["scanned_minor"], line["unit_price_minor"]),
        amount_minor=line["amount_minor"],
        priced_at=datetime.fromisoformat(line["priced_at"]),
        from_cache=line["from_cache"],
        leased=line["lease"] == "held",
    )
