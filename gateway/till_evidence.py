"""What the shelf said when a till charged a price: evidence that goes with each line of a basket.

The last quarter of an hour is answered from memory, older sales (a till that was cut off) from the journal. What is
made of it is the rule's (`rules/basket.py`).
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway import messages as m
from gateway.prices.board import PriceBoard
from gateway.store.proof import shelf_then

WITH_A_PRICE = {"item.added", "item.repriced"}
SKEW = timedelta(seconds=5)  # a clock this close to ours is left alone

Read = Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]


class Evidence:
    """Finds what labels could show at the instants of events."""

    def __init__(self, board: PriceBoard, read: Read) -> None:
        self._board, self._read = board, read

    async def of(self, events: Sequence[m.EventIn], ahead: timedelta, now: datetime) -> list[m.ShelfThen | None]:
        """Return evidence by event, None for those without a price. `ahead`: by how much the till's clock is."""
        wanted = [_wanted(event, ahead, now) for event in events]
        found = [None if one is None else self._board.shelf_at(*one, now) for one in wanted]
        missing = {one for one, shelf in zip(wanted, found, strict=True) if one is not None and shelf is None}
        if not missing:
            return found
        older = await self._read(lambda connection: {one: shelf_then(connection, *one) for one in missing})
        return [shelf or (None if one is None else older[one]) for one, shelf in zip(wanted, found, strict=True)]


def _wanted(event: m.EventIn, ahead: timedelta, now: datetime) -> tuple[str, datetime] | None:
    gtin = event.data.get("gtin")
    if event.type not in WITH_A_PRICE or not isinstance(gtin, str):
        return None
    at = event.at - ahead if abs(ahead) > SKEW else event.at
    return gtin, min(at, now)
