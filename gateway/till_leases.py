"""Leave of tills to sell from their own cache: who has it, until when. Counts durations, decides nothing about prices.

`prices/leases.py` holds labels back for what a cache may charge; here is the time. A till counts its lease from before
it asked, we count from after we heard it, and a little longer: so at the till it is always over first. A restart does
not know when a lease began, so each runs in full again. A till must keep up: one that does not acknowledge what its
last lease named gets no new one.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from gateway import messages as m
from gateway.driver import Clock
from gateway.errors import GatewayError
from gateway.notes import LeaseKept

LEASE_S = 900  # design.md 6
SLOW_CLOCK = 1.01  # a till's clock may run 1 % slow; quartz is a hundred times better
MARGIN_S = 10.0
LOOK_S = 5.0

log = logging.getLogger(__name__)

Ask = Callable[..., Awaitable[list[m.Message]]]


class TillLeases:
    """Grants leases and ends them. `newest` tells the price version on disk, `before` how long which were for."""

    def __init__(
        self, ask: Ask, clock: Clock, newest: Callable[[], int], before: Mapping[str, int], lease_s: int = LEASE_S
    ) -> None:
        self._ask, self._clock, self._newest, self._lease_s = ask, clock, newest, lease_s
        self._before = dict(before)
        self._until_s: dict[str, float] = {}
        self._must_know: dict[str, int] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # one question of a till at a time

    async def run(self) -> None:
        """End leases when their time is over."""
        for terminal, lease_s in self._before.items():
            self._until_s.setdefault(terminal, _end_s(lease_s))
        while True:
            now_s = asyncio.get_running_loop().time()
            for terminal in [terminal for terminal, until_s in self._until_s.items() if until_s <= now_s]:
                await self._over(terminal)
            await asyncio.sleep(LOOK_S)

    async def grant(self, source: str, terminal: str, version: int) -> m.Lease:
        """Take a till's word for what its cache holds; the answer is given after the commit."""
        async with self._turns[terminal]:
            if version < self._must_know.get(terminal, 0) or not await self._granted(source, terminal, version):
                return m.Lease(version=self._newest(), lease_s=0)
            self._must_know[terminal] = self._newest()
            return m.Lease(version=self._must_know[terminal], lease_s=self._lease_s)

    async def _granted(self, source: str, terminal: str, version: int) -> bool:
        ask = m.TillLeased(
            at=self._clock.now(), source=source, terminal=terminal, version=version, lease_s=self._lease_s
        )
        granted = True  # for all we know, when the till hangs up while the question is on its way to the disk
        try:
            granted = any(isinstance(note, LeaseKept) for note in await self._ask(ask))
        finally:
            if granted:
                self._until_s[terminal] = _end_s(self._lease_s)
        return granted

    async def _over(self, terminal: str) -> None:
        """End a lease, unless it was renewed while we waited for our turn."""
        async with self._turns[terminal]:
            if self._until_s[terminal] > asyncio.get_running_loop().time():
                return
            try:
                await self._ask(m.TillLeaseOver(at=self._clock.now(), source=m.GATEWAY, terminal=terminal))
            except GatewayError as error:
                log.warning("the lease of %s is not ended yet: %s", terminal, error, extra={"once": "leases"})
                return
            del self._until_s[terminal]
            self._must_know.pop(terminal, None)


def _end_s(lease_s: float) -> float:
    return asyncio.get_running_loop().time() + lease_s * SLOW_CLOCK + MARGIN_S
