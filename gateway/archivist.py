"""Keeps the price journal to its retention: older parts are closed with a checkpoint and exported, a part a time.

What a part is and how the chain goes on over it: `store/archive.py`.
"""

import asyncio
import logging
from pathlib import Path

from gateway.driver import Clock
from gateway.errors import StoreError
from gateway.store.archive import close_part, export_part
from gateway.store.store import Store

EVERY_S = 6 * 3600.0

log = logging.getLogger(__name__)


class Archivist:
    """Looks every six hours; the parts go to `folder`."""

    def __init__(self, store: Store, clock: Clock, folder: Path, keep_days: int) -> None:
        self._store, self._clock, self._folder, self._keep_days = store, clock, folder, keep_days

    async def run(self) -> None:
        """Export until cancelled."""
        while True:
            try:
                while await self._one_part():
                    pass
            except (StoreError, OSError) as error:
                log.error("the price journal was not archived: %s", error, extra={"once": "archive"})  # noqa: TRY400
            await asyncio.sleep(EVERY_S)

    async def _one_part(self) -> bool:
        now, folder = self._clock.now(), self._folder
        part = await self._store.read(lambda connection: export_part(connection, now, folder, self._keep_days))
        if part is None:
            return False
        await self._store.write(lambda connection: close_part(connection, part, now))
        log.info("price journal %d to %d exported to %s", part.first, part.last, part.path)
        return True
