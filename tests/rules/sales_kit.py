"""What the tests of the sales rules share: a till that writes events, and the rule over the real tables."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from typing import Any

from sqlite_utils import Database

from gateway import messages as m
from gateway.count_notes import StockBase
from gateway.rules.sales import Policy, Sales
from gateway.rules.stock_book import StockBook
from gateway.sale_notes import TillOutcomes
from gateway.store.apply_sales import SaleTables, load

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
APPLE, BREAD, CHEESE = "06901234567892", "04012345678901", "05000112637922"


def event(kind: str, seq: int = 1, basket: str | None = "B1", **more: Any) -> m.TillEvent:
    """Return an event; what is no field of TillEvent becomes its data."""
    fields = {name: more.pop(name) for name in ("at", "received_at", "terminal", "event_id", "shelf") if name in more}
    if kind == "item.added":
        price = more.setdefault("unit_price_minor", 250)
        more = {"line": 1, "gtin": APPLE, "currency": "EUR", "amount_minor": price * more.get("quantity", 1)} | more
    if kind.startswith("payment.") and kind != "payment.failed":
        more = {"currency": "EUR", "tender": "card"} | more
    at = fields.pop("at", AT + timedelta(seconds=seq))
    fields = {"terminal": "sco-1", "event_id": f"e{seq}", "received_at": at} | fields
    digest = sha256(repr((kind, seq, basket, more)).encode()).hexdigest()
    return m.TillEvent(at=at, source="sco", seq=seq, kind=kind, basket=basket, data=more, digest=digest, **fields)


class Till:
    """Numbers the events of one terminal."""

    def __init__(self, terminal: str = "sco-1", step_s: float = 1.0) -> None:
        self.terminal, self.seq, self.at, self.step_s = terminal, 0, AT, step_s
        self.said: list[m.TillEvent] = []

    def say(self, kind: str, basket: str | None = "B1", **more: Any) -> m.TillEvent:
        self.seq += 1
        self.at += timedelta(seconds=self.step_s)
        name = f"{self.terminal}.{self.seq}"
        one = event(kind, self.seq, basket, **{"at": self.at, "terminal": self.terminal, "event_id": name} | more)
        self.said.append(one)
        return one


class Shop:
    """The rule of sales, and that of stock behind it, with their tables, committed after each feed."""

    def __init__(self, policy: Policy = Policy()) -> None:  # noqa: B008 - frozen
        self.policy = policy
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        SaleTables.migrations.apply(Database(self.db))
        self.tables = SaleTables()
        self.all: list[m.Message] = []
        self.bases: list[StockBase] = []
        self.restart()

    def restart(self) -> None:
        kept = load(self.db)
        self.rule, self.stock = Sales(self.policy, kept), StockBook(kept.stock, self.bases)

    def feed(self, *messages: m.Message | m.TillEvent) -> list[m.Message]:
        followed: list[m.Message] = []
        for message in batches(messages):
            followed += self._followed(message)
        self.db.execute("BEGIN")
        self.tables.apply(self.db, followed)
        self.db.execute("COMMIT")
        self.all += followed
        return followed

    def _followed(self, message: m.Message) -> Iterable[m.Message]:
        """Feed both rules as the core does: the one that stands behind hears what the other says."""
        if isinstance(message, self.stock.hears):
            yield from self.stock.feed(message)
            return
        for said in self.rule.feed(message):
            yield said
            if isinstance(said, self.stock.follows):
                yield from self.stock.feed(said)

    def tick(self, at: datetime | None = None, **later: float) -> list[m.Message]:
        return self.feed(m.Tick(at=(at or AT) + timedelta(**later), source=m.GATEWAY))

    def facts(self, *kinds: type[m.Fact]) -> list[m.Fact]:
        return [one for one in self.all if isinstance(one, kinds or m.Fact)]


def batches(messages: Iterable[m.Message | m.TillEvent]) -> Iterator[m.Message]:
    """Yield the messages, events of one terminal that follow each other in one."""
    for terminal, some in groupby(messages, lambda one: one.terminal if isinstance(one, m.TillEvent) else None):
        if terminal is None:
            yield from some
        else:
            events = tuple(some)
            yield m.TillEvents(at=events[0].received_at, source="sco", terminal=terminal, events=events)


def of(messages: Iterable[m.Message], kind: type[Any]) -> list[Any]:
    """Return the messages of one kind."""
    return [one for one in messages if isinstance(one, kind)]


def results(messages: Iterable[m.Message]) -> list[str]:
    """Return what became of each event."""
    return [one.result for one in outcomes(messages)]


def outcomes(messages: Iterable[m.Message]) -> list[m.Outcome]:
    """Return the answer to each event."""
    return [outcome for one in of(messages, TillOutcomes) for outcome in one.outcomes]


def shelf(lowest: int | None, charged: int | None, **more: Any) -> m.ShelfThen:
    """Return evidence: one label per price in `faces`, proven unless told otherwise."""
    faces = more.pop("faces", [] if lowest is None else [(lowest, "proven")])
    shown = tuple(
        m.ShownPrice(label=f"{n:016X}", price_minor=price, wave=f"w{price}", via="ap", revision=1, state=state)
        for n, (price, state) in enumerate(faces)
    )
    fields = {"at": AT, "gtin": APPLE, "version": 7, "wave": "w7", "basis": "memory"} | more
    return m.ShelfThen(lowest_minor=lowest, charged_minor=charged, faces=shown, **fields)
