"""What a scanned code costs, asked or read: the gateway per scan, the till's own cache while it holds a lease.

Also how the cache is kept: feed, acknowledgement, lease, again before it is over, and whenever the stream says so.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal

from drivers.simulators import _till_wire as wire
from drivers.simulators._till_basket import Quote
from drivers.simulators._till_cache import PriceCache
from drivers.simulators._till_clock import TillClock
from drivers.simulators._till_link import Answer, Away, Link, Mishaps, Unwelcome
from drivers.simulators._till_shopper import Article

Mode = Literal["ask", "fallback", "cache"]

LOOK_UP_S = 2.0  # a shopper waits no longer for a price
FEED_S = 30.0
NO_LEASE_S = 5.0  # until the next try when there is no leave yet
BEHIND_S = 0.1  # the feed went on while it was read
RETRY_S = (1.0, 60.0)
RENEWALS = 3  # tries within the time of one lease
PAGES = 1000  # of one reading of the feed; more is an endless one


class NoPrice(Exception):
    """Nobody can say what it costs: the gateway is away, and the cache may not be used."""


class Prices:
    """Prices for one till. `ask`: never from a cache; `fallback`: if nobody answers; `cache`: under a lease, first."""

    def __init__(
        self,
        mode: Mode,
        link: Link,
        clock: TillClock,
        mishaps: Mishaps,
        articles: Mapping[str, Article],
    ) -> None:
        self.mode = mode
        self.cache = PriceCache()
        self._link, self._clock, self._mishaps, self._articles = link, clock, mishaps, articles

    async def of(self, code: str) -> Quote | None:
        """Return the price of a scanned code; None = not for sale. Raises NoPrice."""
        if self.mode == "cache" and (found := self.cached(code)):
            return found
        try:
            return await self._ask(code)
        except (Away, wire.BadAnswer) as error:
            if self.mode != "ask" and (found := self.cached(code)):
                return found
            raise NoPrice(str(error)) from error

    async def again(self, codes: Sequence[str]) -> list[Quote | None]:
        """Return the prices of open lines at payment. Nobody there = those of the cache, if it may be used."""
        asked_at = self._clock.true()
        try:
            body = wire.batch_body(codes)
            answer = await self._link.request("POST", wire.BATCH_PATH, body, LOOK_UP_S)
            if answer.status == 200:
                return wire.read_batch(codes, answer.body, asked_at)
        except (Away, wire.BadAnswer):
            pass
        return [None if self.mode == "ask" else self.cached(code) for code in codes]

    async def _ask(self, code: str) -> Quote | None:
        asked_at = self._clock.true()
        answer = await self._link.request("GET", wire.price_path(code), None, LOOK_UP_S)
        if answer.status == 200:
            return wire.read_price(answer.body, asked_at)
        if answer.status in (400, 404, 410, 422):
            return None
        raise Away(f"price of {code!r}: status {answer.status}")

    def cached(self, code: str) -> Quote | None:
        """Return the price that the cache holds, while its lease lasts, or the fault says that nobody looks at it."""
        lease = self.cache.lease(self._clock.elapsed_s())
        if lease != "held" and not self._mishaps.stale_cache:
            return None
        gtin = code.zfill(14)
        change = self.cache.price(gtin)
        if change is None or not code.isdecimal():
            return None
        article = self._articles.get(gtin)
        by_weight = article is not None and article.by_weight
        return wire.cached_quote(change, self._clock.true(), lease, by_weight=by_weight)


class Feeder:
    """Keeps one till's cache: reads the feed, acknowledges it, renews the lease."""

    def __init__(self, terminal: str, prices: Prices, link: Link, clock: TillClock, rng: Random) -> None:
        self._terminal, self._prices, self._link, self._clock, self._rng = terminal, prices, link, clock, rng
        self._poke = asyncio.Event()
        self.heard: dict[str, int] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        retry_s = RETRY_S[0]
        while True:
            self._poke.clear()
            try:
                wait_s, retry_s = await self.renew(), RETRY_S[0]
            except (Away, wire.BadAnswer):
                wait_s, retry_s = retry_s * self._rng.uniform(0.5, 1.0), min(2 * retry_s, RETRY_S[1])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):  # not wait_for: in 3.11 it can swallow a cancellation
                    await self._poke.wait()

    async def renew(self) -> float:
        """Read the feed to its end and ask for a lease; return when to do so again. Raises Away, BadAnswer."""
        await read_feed(self._prices.cache, self._link)
        asked_s = self._clock.elapsed_s()  # before the request: see `_till_cache.py`
        version = self._prices.cache.version
        path, body = wire.lease_path(self._terminal), wire.lease_body(version)
        answer = _good(await self._link.request("PUT", path, body, FEED_S))
        newest, lease_s = wire.read_lease(answer.body)
        self._prices.cache.granted(lease_s, asked_s)
        if newest > version:
            return BEHIND_S
        return lease_s / RENEWALS if lease_s > 0 else NO_LEASE_S

    async def listen(self) -> None:
        """Hear the stream until cancelled; it only says when to look, so what is missed is found all the same."""
        retry_s = RETRY_S[0]
        while True:
            began_s = self._clock.elapsed_s()
            with contextlib.suppress(Away):
                await self._link.listen(wire.stream_path(self._terminal), self._hear)
            long = self._clock.elapsed_s() - began_s > RETRY_S[1]
            retry_s = RETRY_S[0] if long else min(2 * retry_s, RETRY_S[1])
            await asyncio.sleep(retry_s * self._rng.uniform(0.5, 1.0))

    def _hear(self, text: str) -> None:
        kind = _kind(text)
        self.heard[kind] = self.heard.get(kind, 0) + 1
        if kind == "price.changed":
            self._poke.set()


async def read_feed(cache: PriceCache, link: Link) -> None:
    """Read the feed into a cache up to its end, however many answers it takes. Raises Away, BadAnswer, Unwelcome."""
    for _ in range(PAGES):
        since = cache.version
        answer = await link.request("GET", wire.feed_path(since), None, FEED_S)
        if answer.status == 409 and since:
            cache.clear()  # the gateway was put back to an older state: begin anew
            continue
        feed = wire.read_feed(_good(answer).body)
        cache.apply(feed.changes, feed.version)
        if feed.version == since:
            return
    raise wire.BadAnswer(f"the feed has no end: version {cache.version}")


def _kind(text: str) -> str:
    try:
        said = json.loads(text)
    except ValueError:
        return "unreadable"
    kind = said.get("type") if isinstance(said, dict) else None
    return kind if isinstance(kind, str) else "unreadable"


def _good(answer: Answer) -> Answer:
    if answer.status in (401, 403):
        raise Unwelcome(f"status {answer.status}: {answer.body[:200]!r}")
    if answer.status != 200:
        raise Away(f"status {answer.status}: {answer.body[:200]!r}")
    return answer
