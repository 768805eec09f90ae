"""Tells the rules the time: at instants of the schedule, or that a rule waits for; when work is left; now and then.

With a doubtful clock the schedule stands still (`Tick` repeats the last trusted instant), everything else goes on.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from gateway.messages import GATEWAY, Tick
from gateway.prices.labels import Submit
from gateway.prices.pricing import Pricing

EVERY_S = 30.0
AT_LEAST_S = 0.05  # between two ticks for what a rule waits for: one that stays due must not keep the loop busy
STEP_S = 0.001  # a wait shorter than what the clock can tell would never end


def _never() -> datetime | None:
    """No rule waits."""
    return None


class JudgedClock(Protocol):
    """A clock that says how good it is."""

    def now(self) -> datetime:
        """Return UTC."""

    @property
    def quality(self) -> str:
        """Return `synced`, `holdover` or `unknown`."""


class Ticker:
    """Submits a `Tick` whenever there is a reason."""

    def __init__(
        self,
        pricing: Pricing,
        submit: Submit,
        clock: JudgedClock,
        awaited: Callable[[], datetime | None] = _never,
    ) -> None:
        self._pricing, self._submit, self._clock, self._awaited = pricing, submit, clock, awaited
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look again: Pricing has work left, or its schedule changed."""
        self._wake.set()

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        told_at = float("-inf")
        while True:
            trusted = self._clock.quality != "unknown"
            if self._pricing.more or self._wait_s(loop.time() - told_at, trusted=trusted) <= 0:
                told_at = loop.time()
                await self._submit(Tick(at=self._clock.now(), source=GATEWAY, trusted=trusted))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(STEP_S, self._wait_s(loop.time() - told_at, trusted=trusted))):
                    await self._wake.wait()
            self._wake.clear()

    def _wait_s(self, silent_s: float, *, trusted: bool) -> float:
        """Return how long there is nothing to tell; zero or less = tell now."""
        scheduled = self._pricing.schedule.book.next_instant() if trusted else None
        awaited_s = max(self._until(self._awaited()), AT_LEAST_S - silent_s)
        return min(EVERY_S - silent_s, self._until(scheduled), awaited_s)

    def _until(self, instant: datetime | None) -> float:
        return EVERY_S if instant is None else (instant - self._clock.now()).total_seconds()
