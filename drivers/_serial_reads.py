"""What a serial RFID reader hears, on its way into the core: stamped on arrival, gathered for a moment, and its health.

Serial readers tell no time, so the moment of arrival is the moment of the read. `ReaderHeard` is said only for antennas
that answered an inventory since the last one: time stands still for a reader that is mute. Not here: bytes and frames.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from drivers._serial_cutter import Cutter
from gateway.driver import Emit, Services
from gateway.messages.tags import ReaderHeard, TagRead, TagReads

GATHER_S = 0.1
SHORTEST_S = 0.005  # a wait shorter than the clock can tell would spin
MOST_READS = 500  # in one batch; the fastest line (115200 baud) brings about 50 in GATHER_S
HEARD_S = 2.0
FRESH_S = 0.25  # an answer older than this says nothing of this moment
REPORT_S = 10.0
NOISE_SHARE = 0.05  # of a period's bytes; a good line loses none
NOISE_BYTES = 200  # a period with fewer bytes lost is no evidence
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Trouble(NamedTuple):
    """Why a reader that answers is only `degraded`."""

    reason: str
    evidence: str
    next_step: str


class Ears:
    """One connection's reads. `about` is what the reader said of itself; `trouble` what its protocol complains of."""

    def __init__(self, device: str, services: Services, emit: Emit, cutter: Cutter[Any], about: str) -> None:
        self._device, self._services, self._emit = device, services, emit
        self._cutter, self._about = cutter, about
        self.trouble: Trouble | None = None
        self._reads: list[TagRead] = []
        self._antennas: set[int] = set()
        now = asyncio.get_running_loop().time()
        self._oldest_s = self._heard_s = self._reported_s = self._answered_s = now
        self._tag_s: float | None = None
        self._count = self._ghosts = 0
        self._noise = (cutter.taken, cutter.skipped)
        self._reported = False

    @property
    def silent_s(self) -> float:
        """Seconds since the inventory answered, be it only that there is no tag."""
        return asyncio.get_running_loop().time() - self._answered_s

    def patience_s(self, longest_s: float) -> float:
        """Return how long to wait for more bytes, so that what was gathered is not told late."""
        if not self._reads:
            return longest_s
        due_s = self._oldest_s + GATHER_S - asyncio.get_running_loop().time()
        return min(longest_s, max(SHORTEST_S, due_s))

    def ghost(self) -> None:
        """Count a tag whose own checksum is wrong: it is not told."""
        self._ghosts += 1

    def heard(self, tags: Iterable[tuple[str, int, int | None]], antennas: Iterable[int]) -> None:
        """Take tags (EPC, antenna, power in hundredths of a dBm), and which antennas answered, tags or none."""
        now_s = asyncio.get_running_loop().time()
        at_us = (self._services.clock.now() - EPOCH) // timedelta(microseconds=1)
        fresh = [TagRead(epc, antenna, at_us, power) for epc, antenna, power in tags]
        if fresh:
            self._tag_s = now_s
            self._count += len(fresh)
            self._oldest_s = self._oldest_s if self._reads else now_s
            self._reads += fresh
        self._antennas.update(antennas)
        self._answered_s = now_s

    async def tell(self) -> None:
        """Hand over what is due. Waits while the core is full: then the line is not read."""
        now = asyncio.get_running_loop().time()
        if self._reads and (now - self._oldest_s >= GATHER_S or len(self._reads) >= MOST_READS):
            await self._tell_reads()
        if self._antennas and now - self._heard_s >= HEARD_S and self.silent_s < FRESH_S:
            antennas, self._antennas, self._heard_s = tuple(sorted(self._antennas)), set(), now
            await self._tell_reads()  # what was heard comes before the word that nothing else was
            await self._emit(ReaderHeard(at=self._services.clock.now(), source=self._device, antennas=antennas))
        if not self._reported or now - self._reported_s >= REPORT_S:
            self._report(now)

    async def _tell_reads(self) -> None:
        reads, self._reads = tuple(self._reads), []
        if reads:
            await self._emit(TagReads(at=self._services.clock.now(), source=self._device, reads=reads))

    def _report(self, now: float) -> None:
        self._reported, self._reported_s = True, now
        trouble = self.trouble or self._noise_trouble()
        heard = "no tag yet" if self._tag_s is None else f"the last {now - self._tag_s:.0f} s ago"
        ghosts = f", {self._ghosts} garbled tags left out" if self._ghosts else ""
        facts = f"{self._about}; {self._count} reads, {heard}{ghosts}; answered {self.silent_s:.0f} s ago"
        if trouble is None:
            self._services.report("online", "reading", facts, "nothing to do")
        else:
            evidence = f"{trouble.evidence}; {facts}"
            self._services.report("degraded", trouble.reason, evidence, trouble.next_step)

    def _noise_trouble(self) -> Trouble | None:
        taken, skipped = (
            now - old for now, old in zip((self._cutter.taken, self._cutter.skipped), self._noise, strict=True)
        )
        self._noise = (self._cutter.taken, self._cutter.skipped)
        if skipped < NOISE_BYTES or skipped < NOISE_SHARE * taken:
            return None
        evidence = f"{skipped} of {taken} bytes in {REPORT_S:g} s belonged to no good frame"
        return Trouble("line_noise", evidence, "check the cable, its length and ground, and baudrate")
