"""Kept items -> events -> the repository, for ever: what is taken is deleted, what is not waits and goes again.

Events are kept in the store before they are sent, and deleted after they were taken: a kill in between sends the same
events with the same eventIDs again. A document that is refused is halved until the one event is found; that one is set
aside, said once, and tried again after the next start. Not here: one attempt (`capture.py`), the tables (`rows.py`).
"""

import asyncio
import logging
import random
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import aiohttp

from gateway.driver import Clock, ReportHealth
from gateway.epcis.capture import Capture, Known
from gateway.epcis.compose import Composer, document
from gateway.epcis.names import Names
from gateway.epcis.rows import Rows, Waiting
from gateway.epcis.settings import EpcisConfig, read_key
from gateway.errors import ConfigError, GatewayError, LinkDown, Rejected
from gateway.rules.zones import Zones
from gateway.uplink.backoff import PERSON_S, TURNED_AWAY_S, BackOff

ITEMS_A_STEP = 2000
EVENTS_A_DOCUMENT = 200
GRACE = timedelta(seconds=1)  # for facts of a bucket that are committed a moment after its end
ABSURD = timedelta(hours=1)  # ahead of our clock: waiting for that time would help nobody
LOOK_S = 60.0  # how often an idle exporter asks whether the repository is there
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


def composer(config: EpcisConfig, store_id: str, zones: Zones, zone: tzinfo) -> Composer:
    """Return what makes the shop's events. Raises ConfigError: the key for serials cannot be read."""
    key = None if config.hash_key_file is None else read_key(config.hash_key_file)
    base = config.uri_base or f"urn:x-aisled:{store_id}"
    names = Names(zones, base, gln=config.gln, form=config.epc_uris, key=key)
    return Composer(names, zone, round(config.bucket_s * 1_000_000))


class Exporter:
    """One shop's export. `make` is read anew until it works: a missing key must not stop the shop.

    `scale` below 1 shortens the back-off, for tests.
    """

    def __init__(
        self,
        config: EpcisConfig,
        make: Callable[[], Composer],
        rows: Rows,
        clock: Clock,
        report: ReportHealth,
        *,
        capture: Capture | None = None,
        scale: float = 1.0,
    ) -> None:
        self._config, self._make, self._rows = config, make, rows
        self._clock, self._report = clock, report
        self._capture = capture or Capture(config)
        self._backoff = BackOff(random.random, scale)
        self._scale = scale
        self._most = EVENTS_A_DOCUMENT
        self._told_at = float("-inf")

    async def run(self) -> None:
        """Export until cancelled."""
        fresh = True
        while True:
            try:
                if fresh:
                    await self._rows.retry()
                    fresh = False
                await self._serve(await asyncio.to_thread(self._make))
            except (GatewayError, sqlite3.Error, OSError) as error:
                await self._wait_after(error)

    async def _serve(self, made: Composer) -> None:
        tls = await asyncio.to_thread(self._capture.tls)
        async with self._capture.session(tls) as session:
            while True:
                more = await self.compose(made)
                if not await self.send(session) and not more:
                    await self._idle(session, made)

    async def compose(self, made: Composer) -> bool:
        """Make events of the buckets that are over; return whether there may be more of them."""
        now = self._clock.now()
        before_us = _us(now - GRACE) // made.bucket_us * made.bucket_us
        items = await self._rows.closed(before_us, _us(now + ABSURD), ITEMS_A_STEP)
        if items:
            await self._rows.keep(items, made.events(items, now))
        return len(items) == ITEMS_A_STEP

    async def send(self, session: aiohttp.ClientSession) -> bool:
        """Send one document; return whether there was one. Raises LinkDown or ConfigError, and sends it again then."""
        events = self._fitting(await self._rows.waiting(self._most))
        if not events:
            return False
        try:
            await self._capture.post(session, document([event.body for event in events], self._clock.now()))
        except Rejected as error:
            await self._refused(events, error)
        else:
            await self._taken(events)
        return True

    def _fitting(self, events: Sequence[Waiting]) -> Sequence[Waiting]:
        """Return the first events that fit into one document, one at least."""
        size = 0
        for count, event in enumerate(events):
            size += len(event.body) + 1
            if size > self._config.max_document_kib * 1024 and count:
                return events[:count]
        return events

    async def _taken(self, events: Sequence[Waiting]) -> None:
        await self._rows.forget(events)
        self._backoff.worked()
        self._most = min(2 * self._most, EVENTS_A_DOCUMENT)
        if not await self._tell_losses():
            self._report("online", "events_taken", f"the repository took {len(events)} events", "nothing to do")

    async def _refused(self, events: Sequence[Waiting], error: Rejected) -> None:
        """Look for the one that is wrong. After one was found, go on slowly: it may be the repository that is wrong."""
        if len(events) > 1:
            self._most = len(events) // 2
        elif isinstance(error, Known):
            await self._taken(events)
        else:
            await self._rows.set_aside(events[0], str(error))
            log.error("the EPCIS repository refused an event", extra={"event": events[0].number, "why": str(error)})
            await self._tell_losses()
            await asyncio.sleep(self._backoff.delay_s(asyncio.get_running_loop().time(), TURNED_AWAY_S))

    async def _idle(self, session: aiohttp.ClientSession, made: Composer) -> None:
        if asyncio.get_running_loop().time() - self._told_at > LOOK_S * self._scale:
            await self._capture.probe(session)
            if not await self._tell_losses():
                self._report("online", "answers", "the repository answers", "nothing to do")
        await asyncio.sleep(made.bucket_us / 1_000_000 * self._scale)

    async def _tell_losses(self) -> bool:
        self._told_at = asyncio.get_running_loop().time()
        losses = await self._rows.losses()
        if losses.set_aside:
            step = "see the log for the repository's reason; they are tried again at the next start"
            self._report("degraded", "events_refused", f"{losses.set_aside} events are set aside", step)
        elif losses.dropped:
            step = "see why the repository was away so long; max_items in [epcis] holds more"
            self._report("degraded", "items_dropped", f"{losses.dropped} items were dropped, oldest first", step)
        return bool(losses.set_aside or losses.dropped)

    async def _wait_after(self, error: Exception) -> None:
        """Say why nothing goes out, and wait: longer for what only a person can mend."""
        match error:
            case ConfigError():
                reason, step = "settings", "mend url, sign-in, authority or key in [epcis]"
            case LinkDown():
                reason, step = "unreachable", "see whether the repository and the way to it work"
            case _:
                reason, step = "store", "see the state of the disk"
        self._report("offline", reason, str(error), step)
        log.warning("EPCIS events wait: %s", error, extra={"once": "epcis_wait"})
        at_least_s = PERSON_S if isinstance(error, ConfigError) else 0.0
        await asyncio.sleep(self._backoff.delay_s(asyncio.get_running_loop().time(), at_least_s))


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
