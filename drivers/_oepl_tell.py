"""Tell of the labels behind an OpenEPaperLink access point what no push tells: readings, health, proofs taken back.

Three loops, each of which sleeps until something is due. Not here: the ends of pushes (`label_oepl.py`).
"""

import asyncio
import logging
from collections.abc import Coroutine

from drivers._oepl_calls import Calls
from drivers._oepl_facts import label_failed, label_health, label_seen
from drivers._oepl_station import Station, Tag
from drivers._oepl_tagtype import TagType
from drivers._oepl_trace import Stage
from gateway.driver import Clock, Emit
from gateway.errors import DeviceError
from gateway.messages import Fact, LabelDoubted, LabelLeft, Reading

TELL_SEEN_S = 540.0  # a reading of every label at least every 10 minutes
TELL_HEALTH_S = 3_600.0
FLUSH_S = 1.0  # to finish a fact in hand when stopped

_log = logging.getLogger(__name__)


class Teller:
    """Tells what the station has found out."""

    def __init__(self, station: Station, calls: Calls, emit: Emit, clock: Clock, source: str) -> None:
        self._station = station
        self._calls = calls
        self._emit = emit
        self._clock = clock
        self._source = source

    async def sweep(self) -> None:
        """Put every label on the list in time for its next reading."""
        while True:
            await asyncio.sleep(TELL_SEEN_S)
            for label in self._station.tags:
                self._station.tell(label)

    async def doubts(self) -> None:
        """Take back the proofs that no longer hold."""
        station = self._station
        while True:
            await station.doubt.wait()
            station.doubt.clear()
            while station.doubted:
                label, _ = station.doubted.popitem()
                if (tag := station.tags.get(label)) is not None:
                    await self._take_back(tag)

    async def _take_back(self, tag: Tag) -> None:
        face, watch = tag.shown, tag.watch
        if face is None or watch is None or watch.stage is not Stage.LOST:
            return
        _log.warning("%s: no longer proven: %s", face.label, watch.reason)
        fact = label_failed(face, watch.reason, "unsettled", self._clock.now(), self._source)
        await uninterrupted(self._send(fact))
        if tag.watch is watch:
            tag.shown = tag.watch = None

    async def news(self) -> None:
        """Tell the readings that are due; a model that the access point cannot name is asked for once a round."""
        station = self._station
        while True:
            await station.news.wait()
            station.news.clear()
            labels = [*station.due]
            station.due.clear()
            nameless: set[int] = set()
            readings: list[Reading | Fact] = []
            for label in labels:
                if (tag := station.tags.get(label)) is not None and tag.record.hw_type not in nameless:
                    readings += await self._readings(tag, nameless)
            if readings:
                await uninterrupted(self._send(*readings))

    async def _readings(self, tag: Tag, nameless: set[int]) -> list[Reading | Fact]:
        """Return the tag's reading, and its health when that is due; nothing for other access points' tags."""
        now_s, low = asyncio.get_running_loop().time(), self._station.is_low(tag.record)
        readings: list[Reading | Fact] = []
        if self._station.holds_nothing(tag, now_s):
            readings.append(LabelLeft(at=self._clock.now(), source=self._source, label=tag.record.label))
        reason = "tag_rebooted" if self._station.restarted_unknown(tag) else "foreign_write" if tag.written else None
        if reason is not None:
            tag.blank_told, tag.written = tag.record.blank, False
            doubted = LabelDoubted(at=self._clock.now(), source=self._source, label=tag.record.label, reason=reason)
            readings.append(doubted)
        kind = await self._kind(tag)
        if kind is None:
            nameless.add(tag.record.hw_type)
        if kind is None or not tag.record.ours:
            return readings
        readings.append(label_seen(tag.record, kind, self._clock.now(), self._source))
        if now_s - tag.health_told_s >= TELL_HEALTH_S or low != tag.low_told:
            tag.health_told_s, tag.low_told = now_s, low
            readings.append(label_health(tag.record, self._clock.now(), self._source))
        return readings

    async def _kind(self, tag: Tag) -> TagType | None:
        """Return the tag's type, asking the access point when it is not known yet."""
        hw_type, types = tag.record.hw_type, self._station.types
        if hw_type not in types:
            try:
                types[hw_type] = await self._calls.tag_type(hw_type)
            except DeviceError as error:
                self._station.complain(f"type {hw_type:02X} of label {tag.record.label}: {error}")
        return types.get(hw_type)

    async def _send(self, *messages: Reading | Fact) -> None:
        await self._emit(*messages)


async def uninterrupted(telling: Coroutine[None, None, None]) -> None:
    """Finish telling even when we are stopped meanwhile, so that what is committed is also known as told."""
    task = asyncio.ensure_future(telling)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=FLUSH_S)
        task.cancel()
        raise
