"""Leave of tills to sell from their own cache: who has it, until when. Counts durations, decides nothing about prices.

`prices/leases.py` holds labels back for what a cache may charge; here is the time. A till counts its lease from before
it asked, we count from after we heard it, and a little longer: so at the till it is always over first. A restart does
not know when a lease began, so each runs in full again. A till must keep up: one that does not acknowledge what its
last lease named gets no new one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from gateway import messages as m
from gateway.driver import Clock
from gateway.notes import LeaseKept

LEASE_S = 900  # design.md 6
SLOW_CLOCK = 1.01  # a till's clock may run 1 % slow; quartz is a hundred times better
MARGIN_S = 10.0
LOOK_S = 5.0

Ask = Callable[..., Awaitable[list[m.Message]]]


class TillLeases:
    """Grants leases and ends them. `newest` tells the newest price version on disk."""

    def __init__(
        self, ask: Ask, clock: Clock, newest: Callable[[], int], terminals: Iterable[str], lease_s: int = LEASE_S
    ) -> None:
        self._ask, self._clock, self._newest, self._lease_s = ask, clock, newest, lease_s
        self._before: list[str] = list(terminals)
        self._until_s: dict[str, float] = {}
        self._must_know: dict[str, int] = {}

    async def run(self) -> None:
        """End leases when their time is over."""
        for terminal in self._before:
            self._until_s.setdefault(terminal, self._end_s())
        while True:
            now_s = asyncio.get_running_loop().time()
            for terminal in [terminal for terminal, until_s in self._until_s.items() if until_s <= now_s]:
                await self._over(terminal)
            await asyncio.sleep(LOOK_S)

    async def grant(self, source: str, terminal: str, version: int) -> m.Lease:
        """Take a till's word for what its cache holds; the answer is given after the commit."""
        if version < self._must_know.get(terminal, 0):
            return self._none()
        before_s = self._until_s.get(terminal)
        self._until_s[terminal] = until_s = self._end_s()  # first: what runs out meanwhile must not end the new one
        kept = await self._ask(m.TillLeased(at=self._clock.now(), source=source, terminal=terminal, version=version))
        if not any(isinstance(note, LeaseKept) for note in kept):
            self._take_back(terminal, before_s, until_s)
            return self._none()
        self._until_s[terminal] = self._end_s()
        self._must_know[terminal] = self._newest()
        return m.Lease(version=self._must_know[terminal], lease_s=self._lease_s)

    def _take_back(self, terminal: str, before_s: float | None, until_s: float) -> None:
        if self._until_s.get(terminal) != until_s:
            return  # another question of the same till was granted meanwhile
        if before_s is None:
            del self._until_s[terminal]
        else:
            self._until_s[terminal] = before_s

    def _none(self) -> m.Lease:
        return m.Lease(version=self._newest(), lease_s=0)

    def _end_s(self) -> float:
        return asyncio.get_running_loop().time() + self._lease_s * SLOW_CLOCK + MARGIN_S

    async def _over(self, terminal: str) -> None:
        until_s = self._until_s[terminal]
        await self._ask(m.TillLeaseOver(at=self._clock.now(), source=m.GATEWAY, terminal=terminal))
        if self._until_s.get(terminal) == until_s:
            del self._until_s[terminal]
            self._must_know.pop(terminal, None)
