"""What a reader told and the core has not taken yet: in order, gathered for a moment, bounded.

Reads come one by one and are used by the thousand: each `emit` carries what came since the one before. When the core is
slow `room` waits, and with it the socket. Not here: what is in it (`_llrp_reader.py`).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from gateway.driver import Emit
from gateway.messages import Reading, TagRead, TagReads

GATHER_S = 0.05  # an exit must decide within 2 s
READS_MAX = 20_000  # in hand; a fast reader gives 1 000 a second, a burst after an outage 30 000
READS_PER_MESSAGE = 5_000
OTHERS_MAX = 1_000

Stamp = Callable[[], datetime]


class Outbox:
    """Messages of one reader on their way."""

    def __init__(self, source: str, now: Stamp) -> None:
        self._source, self._now = source, now
        self._done: list[Reading] = []
        self._reads: list[TagRead] = []
        self._count = 0  # reads in `_done` and `_reads`
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()

    def add_reads(self, reads: list[TagRead]) -> None:
        """Take the reads of one report."""
        self._reads += reads
        self._count += len(reads)
        if len(self._reads) >= READS_PER_MESSAGE:
            self._close_reads()
        self._filled.set()

    def add(self, reading: Reading) -> None:
        """Take another message; reads before it go before it."""
        self._close_reads()
        self._done.append(reading)
        self._filled.set()

    def _close_reads(self) -> None:
        """Make one message of the reads so far, oldest first."""
        if self._reads:
            reads = tuple(sorted(self._reads, key=_at))
            self._reads = []
            self._done.append(TagReads(at=self._now(), source=self._source, reads=reads))

    @property
    def full(self) -> bool:
        """Tell whether no more should be read."""
        return self._count >= READS_MAX or len(self._done) >= OTHERS_MAX

    async def room(self) -> None:
        """Return when there is room for more."""
        while self.full:
            self._emptied.clear()
            await self._emptied.wait()

    async def run(self, emit: Emit) -> None:
        """Hand over until cancelled."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(GATHER_S)
            self._close_reads()
            batch, self._done, self._count = self._done, [], 0
            self._filled.clear()
            self._emptied.set()
            await emit(*batch)


def _at(read: TagRead) -> int:
    return read.at_us
