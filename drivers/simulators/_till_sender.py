"""Delivery of one till's events: in batches, again until each has an answer, and from where the gateway says it is.

Order and number are kept unless a mishap says otherwise. Not here: what the events are (`_till_machine.py`) and the
queue itself (`_till_log.py`).
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from drivers.simulators import _till_wire as wire
from drivers.simulators._till_clock import TillClock, rfc3339
from drivers.simulators._till_link import Away, Link, Mishaps, Unwelcome
from drivers.simulators._till_log import Event, EventLog

POST_S = 15.0
RETRY_S = (1.0, 60.0)
LONGEST_WAIT_S = 600.0  # however long the gateway asks to wait
Die = Callable[[float], None]  # cuts the power, for so many seconds

PIECE = 20  # most events in one piece of a shuffled batch


class Sender:
    """Sends what waits in a log. A failure costs time, never an event."""

    def __init__(
        self, terminal: str, log: EventLog, link: Link, mishaps: Mishaps, clock: TillClock, rng: Random, die: Die
    ) -> None:
        self._terminal, self._log, self._link, self._mishaps, self._rng = terminal, log, link, mishaps, rng
        self._clock, self._die = clock, die
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._retry_s = RETRY_S[0]
        log.on_append = self._appended

    def _appended(self) -> None:
        self._drained.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Wait until every event has an answer."""
        if self._log.unsent():
            await self._drained.wait()

    async def run(self) -> None:
        """Work until cancelled. Raises Unwelcome."""
        await self.resume()
        while True:
            self._wake.clear()
            batch = self._log.waiting(wire.BATCH)
            if not batch:
                self._drained.set()
                await self._wake.wait()
            elif await self._try(batch):
                self._retry_s = RETRY_S[0]
            else:
                await self._pause()
                await self.resume()

    async def resume(self) -> None:
        """Ask what the gateway has until it answers, and go on from there."""
        while not await self._ask():
            await self._pause()

    async def _ask(self) -> bool:
        try:
            answer = await self._link.request("GET", wire.ack_path(self._terminal), None, POST_S)
            if answer.status in (401, 403, 404):
                raise Unwelcome(f"{self._terminal}: status {answer.status}: {answer.body[:200]!r}")
            if answer.status == 200:
                self._log.resume(wire.read_ack(answer.body))
                return True
            self._be_patient(answer.retry_after_s)
        except (Away, wire.BadAnswer):
            pass
        return False

    async def _try(self, batch: Sequence[Event]) -> bool:
        pieces = self._pieces(batch)
        try:
            for piece in pieces:
                if not await self._post(piece):
                    return False
        except (Away, wire.BadAnswer):
            return False
        return True

    def _pieces(self, batch: Sequence[Event]) -> list[list[Event]]:
        """Return the requests to make: one, unless mishaps tear it apart or say it twice."""
        mishaps, whole = self._mishaps, list(batch)
        pieces = [whole]
        if mishaps.shuffle:
            mishaps.shuffle -= 1
            self._rng.shuffle(whole)
            size = self._rng.randint(1, PIECE)
            pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        if mishaps.repeat:
            mishaps.repeat -= 1
            pieces = [*pieces, *pieces]
        return pieces

    async def _post(self, events: Sequence[Event]) -> bool:
        """Send some events; what the gateway cannot read as a whole is halved until the bad one stands alone."""
        self._log.post(events)
        path, sent_at = wire.events_path(self._terminal), {"Sent-At": rfc3339(self._clock.wall())}
        answer = await self._link.request("POST", path, wire.events_body(events), POST_S, sent_at)
        if self._mishaps.die_at_send_s is not None:
            down_s, self._mishaps.die_at_send_s = self._mishaps.die_at_send_s, None
            self._die(down_s)
            await asyncio.Event().wait()  # nothing of this life hears the answer
        if answer.status == 200:
            said = wire.read_delivered(events, answer.body)
            self._log.answer(said.kept, said.refused, said.ack_seq)
            return True
        if answer.status in (409, 413, 422):
            return await self._split(events, f"status {answer.status}: {answer.body[:200]!r}")
        self._be_patient(answer.retry_after_s)
        return False

    async def _split(self, events: Sequence[Event], reason: str) -> bool:
        if len(events) == 1:
            self._log.answer((), [(events[0].seq, reason)], self._log.ack_seq)
            return True
        half = len(events) // 2
        return await self._post(events[:half]) and await self._post(events[half:])

    def _be_patient(self, retry_after_s: float | None) -> None:
        if retry_after_s is not None:
            self._retry_s = min(max(self._retry_s, retry_after_s), LONGEST_WAIT_S)

    async def _pause(self) -> None:
        await asyncio.sleep(self._retry_s * self._rng.uniform(1.0, 1.5))
        self._retry_s = min(2 * self._retry_s, RETRY_S[1])
