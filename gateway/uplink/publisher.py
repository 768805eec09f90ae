"""Outbox to head office: what is committed goes up in order and is freed when the broker has it, never before.

A batch is what waits: up to 100 events or 64 KiB, no linger, up to 20 batches in flight. A PUBACK frees the contiguous
prefix of its stream; a time-out frees nothing: after `patience_s` without PUBACK progress the link is dropped, and on
the next one all that was not acknowledged goes again, in order, with the same ids (head office drops repeats by id).
Not here: the connection (`mqtt.py`), numbering and encoding of events (`store/`).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from drivers._mqtt import MqttLink, TooLarge
from gateway.driver import Clock
from gateway.errors import ConfigError, LinkDown, Rejected
from gateway.messages import GATEWAY, AlarmRaised, BufferDropped, Command, Fact, Stream

EVENTS_A_BATCH = 100
BYTES_A_BATCH = 65_536
WINDOW = 20
BUSINESS_SHARE = 4  # batches of business for each one of telemetry while both wait
PATIENCE_S = 10.0
MOST_PATIENCE = 6  # times PATIENCE_S: for a link so slow that not one PUBACK came in time
# A broker with a limit that it does not announce just hangs up on what is too large (Mosquitto's message_size_limit).
# After so many links in a row that broke on a stream without one PUBACK its events go alone; and one of this size that
# still breaks every link after so long is set aside: no outage of the network looks like that for minutes.
BARREN_LINKS = 3
SUSPECT_BYTES = 16_384
SUSPECT_S = 300.0
PACKET_SPARE = 512  # topic, properties and headers around a payload

log = logging.getLogger(__name__)


class Outbox(Protocol):
    """The store, as the publisher sees it."""

    async def unsent(
        self, stream: Stream, after: int, limit: int = ..., max_bytes: int = ...
    ) -> list[tuple[int, bytes]]:
        """Return committed `(sequence, event)` rows past `after`, in order; one at least if there is any."""

    def free(self, stream: Stream, through: int) -> None:
        """Forget everything up to this sequence, soon."""

    def on_commit(self, call: Callable[[], None]) -> None:
        """Call this in the event loop after each commit from now on. For one listener, the newest."""


class Submit(Protocol):
    """The core: returns the facts that followed, after the commit."""

    def __call__(self, *messages: Command | Fact) -> Awaitable[list[Fact]]:
        """Hand over, in order."""


class _Silence(LinkDown):
    """The link is there, but nothing is acknowledged."""


class _Batch(NamedTuple):
    last: int
    events: int
    done: "asyncio.Future[None]"


@dataclass
class _Lane:
    """One stream. `freed`: head office has it; `sent`: is on its way. Up to `careful`, one event at a time."""

    stream: Stream
    freed: int = 0
    sent: int = 0
    careful: int = 0
    barren: int = 0  # links in a row that broke before the first PUBACK
    barren_since: float = 0.0
    dry: bool = False  # all that is committed was read; until the next append there is nothing to ask for
    in_flight: deque[_Batch] = field(default_factory=deque)

    def may_send(self) -> bool:
        return not self.dry and not (self.in_flight and self.sent < self.careful)

    def start_over(self) -> None:
        self.sent, self.dry = self.freed, False
        self.in_flight.clear()


class Publisher:
    """Drains the outbox over one link after another. `published` counts events that the broker has taken."""

    def __init__(
        self,
        outbox: Outbox,
        topics: Mapping[Stream, str],
        submit: Submit,
        clock: Clock,
        *,
        max_message: int = 256 * 1024,
        patience_s: float = PATIENCE_S,
        suspect_s: float = SUSPECT_S,
    ) -> None:
        self._outbox = outbox
        self._topics = topics
        self._submit = submit
        self._clock = clock
        self._max_message = max_message
        self._patience_s = patience_s
        self._suspect_s = suspect_s
        self._slowness = 1
        self._lanes = (_Lane("business"), _Lane("telemetry"))
        self._turn = 0
        self._progress_at = 0.0
        self._news = asyncio.Event()  # a commit, an answer of the broker, or time to look for one
        self._timer: asyncio.TimerHandle | None = None
        self.published = 0

    async def serve(self, link: MqttLink) -> None:
        """Publish until the link fails: raises LinkDown, or ConfigError when the broker refuses what we send."""
        for lane in self._lanes:
            lane.start_over()
        before = self.published
        self._outbox.on_commit(self._committed)
        try:
            while True:
                self._news.clear()
                await self._settle()
                await self._fill(link)
                self._insist(link, fresh=self.published == before)
                await self._news.wait()
        except _Silence:
            raise
        except LinkDown:
            self._count_barren()
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _committed(self) -> None:
        for lane in self._lanes:
            lane.dry = False
        self._news.set()

    def _count_barren(self) -> None:
        now = asyncio.get_running_loop().time()
        for lane in self._lanes:
            if lane.sent > lane.freed:
                lane.barren_since = lane.barren_since if lane.barren else now
                lane.barren += 1
            if lane.barren >= BARREN_LINKS:
                lane.careful = max(lane.careful, lane.sent)

    def _in_flight(self) -> int:
        business, telemetry = self._lanes
        return len(business.in_flight) + len(telemetry.in_flight)

    async def _fill(self, link: MqttLink) -> None:
        """Send what waits while there is room in the window."""
        limit = min(self._max_message, link.max_packet - PACKET_SPARE)
        alone = any(lane.barren >= BARREN_LINKS for lane in self._lanes)
        while self._in_flight() < (1 if alone else WINDOW):
            lane = next((lane for lane in self._next_lanes() if lane.may_send()), None)
            if lane is None:
                return
            await self._send_batch(link, lane, limit)

    def _next_lanes(self) -> tuple[_Lane, ...]:
        business, telemetry = self._lanes
        return (telemetry, business) if self._turn >= BUSINESS_SHARE else (business, telemetry)

    async def _send_batch(self, link: MqttLink, lane: _Lane, limit: int) -> None:
        events = 1 if lane.sent < lane.careful else EVENTS_A_BATCH
        lane.dry = True  # set before the question: a commit while it is answered makes it untrue
        rows = await self._outbox.unsent(lane.stream, lane.sent, events, min(BYTES_A_BATCH, limit - events - 2))
        if not rows:
            return
        lane.dry = False
        self._turn = self._turn + 1 if lane.stream == "business" else 0
        payload = b"[" + b",".join(event for _, event in rows) + b"]"
        if len(payload) > limit and lane.in_flight:  # a single event: the store gives one at least
            lane.careful = rows[0][0]  # its turn comes when all before it is acknowledged
            return
        if len(payload) > limit or self._breaks_links(lane, rows):
            why = f"takes {limit}" if len(payload) > limit else f"hung up on it {lane.barren} times"
            await self._set_aside(lane, rows[0][0], f"{len(payload)} bytes, the broker {why}")
            return
        if not self._in_flight():
            self._progress_at = asyncio.get_running_loop().time()
        done = link.publish(self._topics[lane.stream], payload)
        done.add_done_callback(lambda _: self._answered(lane))
        lane.in_flight.append(_Batch(rows[-1][0], len(rows), done))
        lane.sent = rows[-1][0]

    def _breaks_links(self, lane: _Lane, rows: Sequence[tuple[int, bytes]]) -> bool:
        """Tell whether this one event has broken every link for long enough, and is large enough to be the reason."""
        suspected_s = asyncio.get_running_loop().time() - lane.barren_since
        long = lane.barren > BARREN_LINKS and suspected_s > self._suspect_s
        return long and len(rows) == 1 and not self._in_flight() and len(rows[0][1]) > SUSPECT_BYTES

    def _insist(self, link: MqttLink, *, fresh: bool) -> None:
        """With something in flight, wait for a PUBACK no longer than patience allows."""
        if not self._in_flight():
            return
        loop = asyncio.get_running_loop()
        patience_s, now = self._patience_s * self._slowness, loop.time()
        due = self._progress_at + patience_s
        if now >= due:
            # A link that brought nothing at all may just be slow: resending at this pace would never end.
            self._slowness = min(2 * self._slowness, MOST_PATIENCE) if fresh else 1
            link.drop(f"no PUBACK for {patience_s:g} s")
            raise _Silence(f"the broker is connected but acknowledged nothing for {patience_s:g} s")
        if self._timer is None:  # one for many batches: when it is due, most of them are long gone
            self._timer = loop.call_at(min(due, now + self._patience_s), self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._news.set()

    def _answered(self, lane: _Lane) -> None:
        """Free what the broker has just taken. The sender wakes only if there is something to do for it."""
        self._free_taken(lane)
        refused = bool(lane.in_flight) and lane.in_flight[0].done.done()
        if refused or any(lane.may_send() for lane in self._lanes):
            self._news.set()

    def _free_taken(self, lane: _Lane) -> None:
        """Free the contiguous prefix that the broker has taken."""
        freed = lane.freed
        while lane.in_flight and _is_taken(lane.in_flight[0].done):
            batch = lane.in_flight.popleft()
            self._slowness, lane.barren = 1, 0
            self.published += batch.events
            lane.freed = batch.last
        if lane.freed > freed:
            self._progress_at = asyncio.get_running_loop().time()
            self._outbox.free(lane.stream, lane.freed)

    async def _settle(self) -> None:
        """Act on what the broker refused, and on the end of the link."""
        for lane in self._lanes:
            self._free_taken(lane)
            if lane.in_flight and lane.in_flight[0].done.done():
                batch = lane.in_flight.popleft()
                self._progress_at = asyncio.get_running_loop().time()
                try:
                    batch.done.result()
                except TooLarge as error:
                    await self._refused_as_too_large(lane, batch, str(error))
                except Rejected as error:
                    raise ConfigError(f"the broker refuses {self._topics[lane.stream]}: {error}") from error

    async def _refused_as_too_large(self, lane: _Lane, batch: _Batch, reason: str) -> None:
        """Send its events one at a time, to find the one; what was in flight behind it goes again, after it."""
        lane.start_over()
        if batch.events == 1:
            await self._set_aside(lane, batch.last, reason)
        else:
            lane.careful = batch.last

    async def _set_aside(self, lane: _Lane, sequence: int, reason: str) -> None:
        """Give up one event that can never pass, so that it does not hold up all others; said first, then freed."""
        at = self._clock.now()
        text = f"Event {sequence} of {lane.stream} is too large for head office's broker and was set aside: {reason}."
        log.error("an event is too large for the broker", extra={"stream": lane.stream, "sequence": sequence})
        dropped = BufferDropped(
            at=at,
            source=GATEWAY,
            about=lane.stream,
            count=1,
            first_sequence=sequence,
            last_sequence=sequence,
            reason=f"too large for the broker: {reason}",
        )
        alarm = AlarmRaised(
            at=at,
            source=GATEWAY,
            alarm="event_too_large",
            text=text,
            next_step="Raise the broker's message limit and max_message_kib in [hq], then clear this alarm.",
        )
        await self._submit(dropped, alarm)
        lane.sent = lane.freed = sequence
        lane.barren = 0
        self._outbox.free(lane.stream, sequence)


def _is_taken(done: "asyncio.Future[None]") -> bool:
    return done.done() and done.exception() is None
