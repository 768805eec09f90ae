"""What the shelf said when a till charged a price: evidence that goes with each line of a basket.

The last quarter of an hour is answered from memory, older sales (a till that was cut off) from the journal. When that
cannot be read, events are taken all the same, with evidence that says so: a till that is refused would send them again
for ever. What is made of it is the rule's (`rules/basket.py`).
"""

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway import messages as m
from gateway.errors import StoreError
from gateway.prices.board import PriceBoard
from gateway.store.proof import shelves_then

log = logging.getLogger(__name__)
Wanted = tuple[str, datetime]  # product and instant, by our clock
WITH_A_PRICE = {"item.added", "item.repriced"}
SKEW = timedelta(seconds=5)  # a clock this close to ours is left alone

Read = Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]


class Evidence:
    """Finds what labels could show at the instants of events."""

    def __init__(self, board: PriceBoard, read: Read) -> None:
        self._board, self._read = board, read
        self._blind = False

    async def of(self, events: Sequence[m.EventIn], ahead: timedelta, now: datetime) -> list[m.ShelfThen | None]:
        """Return evidence by event, None for those without a price. `ahead`: by how much the till's clock is."""
        wanted = [_wanted(event, ahead, now) for event in events]
        found = [None if one is None else self._board.shelf_at(*one, now) for one in wanted]
        missing = {one for one, shelf in zip(wanted, found, strict=True) if one is not None and shelf is None}
        if not missing:
            return found
        older = await self._older(missing)
        return [shelf or (None if one is None else older[one]) for one, shelf in zip(wanted, found, strict=True)]

    async def _older(self, wanted: Collection[Wanted]) -> dict[Wanted, m.ShelfThen]:
        try:
            found: dict[Wanted, m.ShelfThen] = await self._read(lambda connection: shelves_then(connection, wanted))
        except (StoreError, sqlite3.Error) as error:
            if not self._blind:
                log.warning(
                    "the journal cannot be read: late sales are taken without evidence", extra={"why": str(error)}
                )
            self._blind = True
            return {one: _unknown(*one) for one in wanted}
        self._blind = False
        return found


def _unknown(gtin: str, at: datetime) -> m.ShelfThen:
    return m.ShelfThen(
        at=at, gtin=gtin, lowest_minor=None, charged_minor=None, version=None, wave=None, faces=(), basis="unknown"
    )


def _wanted(event: m.EventIn, ahead: timedelta, now: datetime) -> Wanted | None:
    gtin = event.data.get("gtin")
    if event.type not in WITH_A_PRICE or not isinstance(gtin, str):
        return None
    at = event.at - ahead if abs(ahead) > SKEW else event.at
    return gtin, min(at, now)
