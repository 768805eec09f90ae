"""The desk that tills come to: prices by the safe switch, leases for caches, and where their events are kept.

It is what a driver of tills sees of the gateway (`gateway.driver.Tills`). It decides nothing: prices come from
`prices/answers.py`, baskets are the rule's (`rules/sales.py`), leases those of `till_leases.py`. Events go through the
core, each with the evidence of the shelf at its instant (`till_evidence.py`).
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pydantic_core import to_json

from gateway import messages as m
from gateway.driver import Clock
from gateway.prices.answers import PriceAnswers
from gateway.sale_notes import TillGapsKept, TillLogKept, TillOutcomes
from gateway.till_evidence import Evidence
from gateway.till_leases import TillLeases

Ask = Callable[..., Awaitable[list[m.Message]]]


class SalesView(Protocol):
    """What the desk asks the rule of sales."""

    def ack_seq(self, terminal: str) -> int:
        """Return the highest number up to which every event of the terminal has come."""

    def verify(self, terminal: str, basket: str) -> m.BaggingVerdict:
        """Compare the basket with the bagging area."""


class TillDesk:
    """See `gateway.driver.Tills`. To be built before the core runs; `terminals` are those that the store knows."""

    def __init__(
        self,
        prices: PriceAnswers,
        sales: SalesView,
        ask: Ask,
        evidence: Evidence,
        leases: TillLeases,
        clock: Clock,
        terminals: Iterable[str],
    ) -> None:
        self._prices, self._sales, self._ask = prices, sales, ask
        self._evidence, self._leases, self._clock = evidence, leases, clock
        self._acks = {terminal: sales.ack_seq(terminal) for terminal in terminals}  # as the disk gave it
        self._beyond: asyncio.Future[int] | None = None

    def committed(self, messages: Sequence[m.Message]) -> None:
        """Follow one commit: what is acknowledged is on disk. At this moment the rule knows no more than the disk."""
        for message in messages:
            if isinstance(message, TillLogKept | TillGapsKept):
                self._acks[message.terminal] = self._sales.ack_seq(message.terminal)
        if self._beyond is not None and any(isinstance(message, m.PriceCharged) for message in messages):
            self._beyond.set_result(self.version)
            self._beyond = None

    @property
    def version(self) -> int:
        """Return the newest price version on disk."""
        return self._prices.version

    def look_up(self, scan: str, symbology: str | None = None) -> m.PriceAnswer:
        """Return the price of a scanned code. Raises Refused or NotForSale."""
        return self._prices.look_up(scan, symbology)

    def changes(self, since: int) -> Sequence[m.PriceChange]:
        """Return the newest price of every product that changed after a version."""
        return self._prices.changes(since)

    async def wait_beyond(self, version: int) -> int:
        """Return the newest version as soon as it is above this one."""
        while self.version <= version:
            if self._beyond is None:
                self._beyond = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._beyond)
        return self.version

    async def lease(self, source: str, terminal: str, version: int) -> m.Lease:
        """Take a till's word for what its cache holds."""
        return await self._leases.grant(source, terminal, version)

    async def take(
        self, source: str, terminal: str, events: Sequence[m.EventIn], sent_at: datetime | None = None
    ) -> list[m.Outcome]:
        """Keep events; returns after the commit."""
        now = self._clock.now()
        ahead = timedelta() if sent_at is None or abs(sent_at.year - now.year) > 1 else sent_at - now
        shelves = await self._evidence.of(events, ahead, now)
        said = tuple(
            m.TillEvent(
                event.at,
                source,
                terminal,
                event.seq,
                event.event_id,
                event.type,
                event.basket_id,
                event.data,
                hashlib.sha256(to_json(event)).hexdigest(),
                now,
                shelf,
            )
            for event, shelf in zip(events, shelves, strict=True)
        )
        return _outcomes(await self._ask(m.TillEvents(at=now, source=source, terminal=terminal, events=said)))

    async def import_sales(self, sales: Sequence[m.PosTransaction]) -> list[m.Outcome]:
        """Keep transactions of a sales document."""
        return _outcomes(await self._ask(*sales))

    def ack_seq(self, terminal: str) -> int:
        """Return the highest number up to which every event is on disk."""
        return self._acks.get(terminal, 0)

    def verify(self, terminal: str, basket: str) -> m.BaggingVerdict:
        """Compare an open basket with the bagging area."""
        return self._sales.verify(terminal, basket)


def _outcomes(kept: Sequence[m.Message]) -> list[m.Outcome]:
    return [outcome for note in kept if isinstance(note, TillOutcomes) for outcome in note.outcomes]
