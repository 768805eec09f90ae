"""Imported transactions: each counts once, by its natural key; a void takes back what it voids, in whatever order.

The key is `<store>/<workstation>/<business day>/<sequence>`; `voids` holds such a key, or the sequence alone (then of
the same store, workstation and day). Keys are remembered for 400 days, as hashes (16 bytes each); what the newest 2 000
transactions said is remembered whole, so that they can be voided. Not here: reading a document (`drivers/`), stock.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from datetime import date
from hashlib import blake2b
from typing import Literal, NamedTuple

from gateway.messages import Message, Outcome, PosLine, PosTransaction, SaleBasket, SaleLine
from gateway.sale_notes import KeptSales, PosKept, SeenDay, TillOutcomes, number_of

BODIES = 2_000
KEEP_DAYS = 400
MOST_MINOR = 10**12

Refusal = Literal["duplicate", "conflict", "rejected"]


class Imported(NamedTuple):
    """The judgement with its notes, and the facts by the transaction that they belong to."""

    notes: list[Message]
    sales: list[tuple[str, list[SaleLine], SaleBasket]]


class PosImport:
    """All imported transactions."""

    def __init__(self, kept: KeptSales) -> None:
        self._days = {day: _Day(seen) for day, seen in kept.transactions.items()}
        self._bodies: dict[str, PosTransaction] = {}
        self._voids: dict[str, str] = {}  # key of what is voided -> key of the first void of it
        for transaction in kept.bodies:
            self._keep_body(key_of(transaction), transaction)

    def take(self, transaction: PosTransaction) -> Imported:
        """Judge a transaction; of a new one return what was sold or taken back."""
        key, digest = key_of(transaction), _digest(transaction)
        known = self._days.setdefault(transaction.business_day, _Day(SeenDay(array("Q"), array("Q"))))
        before = known.find(key)
        if before is not None and before == number_of(digest):
            return _refused(transaction, "duplicate", None)
        if before is not None:
            return _refused(transaction, "conflict", "this transaction said something else before")
        if sum(abs(line.amount_minor) for line in transaction.lines) > MOST_MINOR:
            return _refused(transaction, "rejected", "the lines add up to more than any sale")
        known.add(key, digest)
        kept = PosKept(at=transaction.at, source=transaction.source, key=key, digest=digest, transaction=transaction)
        sales, reason = self._sales(key, transaction)
        self._keep_body(key, transaction)
        return Imported(
            [kept, _answer(transaction, Outcome(event_id=key, seq=None, result="accepted", reason=reason))], sales
        )

    def forget(self, before: date) -> None:
        """Forget the keys of business days before this one."""
        for day in [day for day in self._days if day < before]:
            del self._days[day]

    def _sales(
        self, key: str, transaction: PosTransaction
    ) -> tuple[list[tuple[str, list[SaleLine], SaleBasket]], str | None]:
        target = _target(transaction)
        if transaction.kind == "other":
            return [], None
        if target is None:
            sales = [_sale(key, transaction)]
            void = self._voids.get(key)
            if void is not None and transaction.kind != "void":
                sales.append(_void(void, self._bodies[void], transaction.lines))
            return sales, None
        if target in self._voids:
            return [], "the transaction was voided before"
        original = self._bodies.get(target)
        if original is not None:
            return [_void(key, transaction, original.lines)] if original.kind in {"sale", "return"} else [], None
        if self._knows(target):
            return [
                _void(key, transaction, transaction.lines)
            ], "of the voided transaction no more than its key is known"
        return [], "it waits for the transaction that it voids"

    def _knows(self, key: str) -> bool:
        return any(day.find(key) is not None for day in self._days.values())

    def _keep_body(self, key: str, transaction: PosTransaction) -> None:
        self._bodies[key] = transaction
        if (target := _target(transaction)) is not None:
            self._voids.setdefault(target, key)
        if len(self._bodies) > BODIES:
            oldest = next(iter(self._bodies))
            gone = _target(self._bodies.pop(oldest))
            if gone is not None and self._voids.get(gone) == oldest:
                del self._voids[gone]


class _Day:
    """Keys of one business day, sorted, and what each said. Takes the arrays over."""

    def __init__(self, seen: SeenDay) -> None:
        self._keys, self._digests = seen

    def find(self, key: str) -> int | None:
        """Return the number of what a key said."""
        number = number_of(key)
        at = bisect_left(self._keys, number)
        return self._digests[at] if at < len(self._keys) and self._keys[at] == number else None

    def add(self, key: str, digest: str) -> None:
        number = number_of(key)
        at = bisect_left(self._keys, number)
        self._keys.insert(at, number)
        self._digests.insert(at, number_of(digest))


def key_of(transaction: PosTransaction) -> str:
    """Return the natural key."""
    return _key(transaction, transaction.sequence)


def _key(transaction: PosTransaction, sequence: str) -> str:
    return f"{transaction.store}/{transaction.workstation}/{transaction.business_day.isoformat()}/{sequence}"


def _target(transaction: PosTransaction) -> str | None:
    """Return the key of what a transaction voids."""
    if transaction.kind != "void" or transaction.voids is None:
        return None
    return transaction.voids if "/" in transaction.voids else _key(transaction, transaction.voids)


def _digest(transaction: PosTransaction) -> str:
    """Name what it says, whatever way and when it came."""
    said = transaction.model_dump_json(include={"kind", "voids", "currency", "lines", "tenders"})
    return blake2b(said.encode(), digest_size=16).hexdigest()


def _answer(transaction: PosTransaction, outcome: Outcome) -> TillOutcomes:
    at, source = transaction.at, transaction.source
    return TillOutcomes(at=at, source=source, terminal=_terminal(transaction), outcomes=(outcome,))


def _refused(transaction: PosTransaction, result: Refusal, reason: str | None) -> Imported:
    outcome = Outcome(event_id=key_of(transaction), seq=None, result=result, reason=reason)
    return Imported([_answer(transaction, outcome)], [])


def _sale(key: str, transaction: PosTransaction) -> tuple[str, list[SaleLine], SaleBasket]:
    if transaction.kind == "void":  # of itself: nothing was sold
        return key, [], _basket(key, transaction, [], len(transaction.lines))
    lines = [_line(key, transaction, line, -1 if line.kind == "return" else 1) for line in _sold(transaction.lines)]
    return key, lines, _basket(key, transaction, lines, len(transaction.lines) - len(lines))


def _void(key: str, transaction: PosTransaction, voided: Sequence[PosLine]) -> tuple[str, list[SaleLine], SaleBasket]:
    lines = [_line(key, transaction, line, 1 if line.kind == "return" else -1) for line in _sold(voided)]
    return key, lines, _basket(key, transaction, lines, len(lines))


def _sold(lines: Sequence[PosLine]) -> list[PosLine]:
    return [line for line in lines if not line.voided]


def _line(key: str, transaction: PosTransaction, line: PosLine, sign: int) -> SaleLine:
    """Return a line; documents differ in the sign of a return, we do not: what goes back is negative."""
    flip = sign if line.kind == "sale" else sign * (-1 if line.amount_minor < 0 or line.quantity_thousandths < 0 else 1)
    return SaleLine(
        at=transaction.at,
        source=transaction.source,
        id=f"pos:{key}:{line.line}",
        cause=None,
        terminal=_terminal(transaction),
        basket=_basket_id(transaction),
        line=line.line,
        kind="sale" if sign > 0 else "return",
        gtin=line.gtin,
        item=line.item,
        quantity_thousandths=flip * line.quantity_thousandths,
        weight_mg=None if line.weight_mg is None else sign * abs(line.weight_mg),
        unit_price_minor=line.unit_price_minor,
        amount_minor=flip * line.amount_minor,
        discount_minor=flip * line.discount_minor,
        currency=transaction.currency,
        price_version=None,
        shelf=None,
        wave=None,
        pending=False,
        origin="poslog",
    )


def _basket(key: str, transaction: PosTransaction, lines: Sequence[SaleLine], voided: int) -> SaleBasket:
    return SaleBasket(
        at=transaction.at,
        source=transaction.source,
        id=f"pos:{key}:basket",
        cause=None,
        terminal=_terminal(transaction),
        basket=_basket_id(transaction),
        outcome="voided" if transaction.kind == "void" else "paid",
        opened_at=None,
        closed_at=transaction.at,
        lines=len(lines),
        voided=voided,
        amount_minor=sum(line.amount_minor for line in lines),
        currency=transaction.currency,
        tenders=transaction.tenders,
        origin="poslog",
    )


def _terminal(transaction: PosTransaction) -> str:
    """Return the workstation as a terminal may be called."""
    name = re.sub(r"[^a-z0-9_-]", "-", transaction.workstation.lower())[:36]
    return name if re.match(r"[a-z0-9]", name) else f"pos-{name}"


def _basket_id(transaction: PosTransaction) -> str:
    return re.sub(r"[^\x21-\x7e]", "-", f"{transaction.business_day.isoformat()}-{transaction.sequence}")[:64]
