"""What shoppers were really charged, line by line, on the gateway's axis of time: the oracle's side of the tills. Pure.

Nothing here passes over the interface: a test compares it with what the gateway recorded. `as_json` is `GET /truth`.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from drivers.simulators._till_basket import Basket, Lease, Line
from drivers.simulators._till_clock import rfc3339
from drivers.simulators._till_log import Event, EventLog


@dataclass(frozen=True, slots=True)
class Charged:
    """One line that a shopper paid. `scanned_minor` is the unit price at the scan, `unit_price_minor` the final one.

    `priced_at` is before the price was asked for or read, `scanned_at` when the line was there. `lease` and
    `from_cache` are of the price at the scan.
    """

    terminal: str
    basket: str
    line: int
    scan: str
    gtin: str
    quantity: int
    weight_mg: int | None
    scanned_minor: int
    unit_price_minor: int
    amount_minor: int
    currency: str
    price_version: int | None
    from_cache: bool
    lease: Lease
    priced_at: datetime
    scanned_at: datetime
    paid_at: datetime


class Ledger:
    """Every line that was paid at any till of a fleet, in the order of payment."""

    def __init__(self) -> None:
        self.lines: list[Charged] = []
        self.baskets = 0
        self.verdicts: dict[str, int] = {}

    def charge(self, terminal: str, basket: Basket, at: datetime) -> None:
        """Note the lines of a basket that was paid."""
        self.baskets += 1
        self.lines += [_charged(terminal, basket.id, line, at) for line in basket.open_lines()]

    def judge(self, verdict: str) -> None:
        """Count one answer to a bagging check; "silent" = there was none in time, and the shopper did not wait."""
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1

    def sums(self) -> dict[str, int]:
        """Return what each till took, in minor units."""
        found: dict[str, int] = {}
        for line in self.lines:
            found[line.terminal] = found.get(line.terminal, 0) + line.amount_minor
        return found

    def beyond_lease(self) -> list[Charged]:
        """Return the lines that were sold from a cache without a lease: none, unless a fault says so."""
        return [line for line in self.lines if line.from_cache and line.lease != "held"]


def _charged(terminal: str, basket: str, line: Line, at: datetime) -> Charged:
    scanned = line.quote
    return Charged(
        terminal=terminal,
        basket=basket,
        line=line.number,
        scan=line.scan,
        gtin=scanned.gtin,
        quantity=line.quantity,
        weight_mg=line.weight_mg if line.weight_mg is not None else scanned.weight_mg,
        scanned_minor=scanned.unit_price_minor,
        unit_price_minor=line.now.unit_price_minor,
        amount_minor=line.amount_minor,
        currency=line.now.currency,
        price_version=line.now.version,
        from_cache=scanned.from_cache,
        lease=scanned.lease,
        priced_at=scanned.asked_at,
        scanned_at=line.scanned_at,
        paid_at=at,
    )


def as_json(ledger: Ledger, logs: dict[str, EventLog]) -> dict[str, Any]:
    """Return all of it: paid lines, sums by till, and every event that was ever made."""
    return {
        "baskets": ledger.baskets,
        "verdicts": ledger.verdicts,
        "sums_minor": ledger.sums(),
        "lines": [_line(line) for line in ledger.lines],
        "tills": {terminal: _till(log) for terminal, log in sorted(logs.items())},
    }


def _line(line: Charged) -> dict[str, Any]:
    instants = {name: rfc3339(getattr(line, name)) for name in ("priced_at", "scanned_at", "paid_at")}
    return asdict(line) | instants


def _till(log: EventLog) -> dict[str, Any]:
    return {
        "ack_seq": log.ack_seq,
        "unsent": log.unsent(),
        "passed_over": log.passed_over,
        "refused": {str(seq): reason for seq, reason in sorted(log.refused.items())},
        "events": [_event(event) for event in log.events],
    }


def _event(event: Event) -> dict[str, Any]:
    return event.wire() | {"true_at": rfc3339(event.true_at)}
