"""Tells Pricing the time: at each instant of its schedule, when work is left, and every half minute.

With a doubtful clock the schedule stands still (`Tick` repeats the last trusted instant), everything else goes on.
"""

import asyncio
import contextlib
from datetime import datetime
from typing import Protocol

from gateway.messages import GATEWAY, Tick
from gateway.prices.labels import Submit
from gateway.prices.pricing import Pricing

EVERY_S = 30.0


class JudgedClock(Protocol):
    """A clock that says how good it is."""

    def now(self) -> datetime:
        """Return UTC."""

    @property
    def quality(self) -> str:
        """Return `synced`, `holdover` or `unknown`."""


class Ticker:
    """Submits a `Tick` whenever there is a reason."""

    def __init__(self, pricing: Pricing, submit: Submit, clock: JudgedClock) -> None:
        self._pricing, self._submit, self._clock = pricing, submit, clock
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
            if self._pricing.more or (trusted and self._due()) or loop.time() - told_at >= EVERY_S:
                told_at = loop.time()
                await self._submit(Tick(at=self._clock.now(), source=GATEWAY, trusted=trusted))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._delay_s() if trusted else EVERY_S):
                    await self._wake.wait()
            self._wake.clear()

    def _due(self) -> bool:
        due = self._pricing.schedule.book.next_instant()
        return due is not None and due <= self._clock.now()

    def _delay_s(self) -> float:
        due = self._pricing.schedule.book.next_instant()
        left_s = EVERY_S if due is None else (due - self._clock.now()).total_seconds()
        return min(EVERY_S, max(0.0, left_s))
