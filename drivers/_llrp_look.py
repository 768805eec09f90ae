"""What a short inventory with one antenna hears before and after a write. State only; started by `_llrp_write.py`."""

import asyncio

from drivers._llrp_reports import OpResult, TagSeen

TAGS_MAX = 100  # more than one is too many already


class Look:
    """Tags heard since the last `forget` (EPC as upper-case hex), and the result of the operation if there is one."""

    def __init__(self) -> None:
        self.epcs: set[str] = set()
        self._results: asyncio.Queue[OpResult] = asyncio.Queue(TAGS_MAX)

    def take(self, seen: list[TagSeen]) -> None:
        """Take note of tags."""
        for tag in seen:
            if len(self.epcs) < TAGS_MAX:
                self.epcs.add(tag.epc.hex().upper())
            for result in tag.results or ():
                if not self._results.full():
                    self._results.put_nowait(result)

    def forget(self) -> None:
        """Begin anew."""
        self.epcs.clear()

    async def result(self) -> OpResult:
        """Return what became of the operation as soon as it is told."""
        return await self._results.get()
