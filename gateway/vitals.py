"""The daemon's own figures, measured: one `GatewayHealth` fact a minute, and the same for screens at any time.

Not here: states of devices (`health.py`). What waits for head office is asked from the store through `backlog`.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from gateway.clock import Quality
from gateway.driver import Clock, Emit
from gateway.errors import GatewayError
from gateway.messages import GATEWAY, GatewayHealth

EVERY_S = 60.0
LAG_PROBE_S = 2.0  # 30 probes a minute find a stall of the loop and cost nothing

_MIB = 1024 * 1024

log = logging.getLogger(__name__)


class Backlog(NamedTuple):
    """What waits for head office, and how many hours until the quota is full at the present rate (None = never).

    `journal_rows`, `journal_head`: the end of the price journal's chain.
    """

    business: int
    telemetry: int
    hours_left: float | None
    journal_rows: int | None = None
    journal_head: str | None = None


class QualityClock(Clock, Protocol):
    """A clock that says how good it is."""

    @property
    def quality(self) -> Quality:
        """Return `synced`, `holdover` or `unknown`."""


class Vitals:
    """Measures the event loop's lag all the time and tells the figures once a minute."""

    def __init__(self, clock: QualityClock, data_dir: Path, backlog: Callable[[], Awaitable[Backlog]]) -> None:
        self._clock, self._data_dir, self._backlog = clock, data_dir, backlog
        self._worst_lag_s = 0.0

    async def run(self, emit: Emit) -> None:
        """Measure and tell until cancelled. A figure that the disk does not take is not worth keeping: the next is."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if loop.time() >= due:
                due += EVERY_S
                try:
                    await emit(await self.measure())
                except GatewayError as error:
                    log.warning("gateway health not kept: %s", error, extra={"once": "vitals"})
                self._worst_lag_s = 0.0
            wake = loop.time() + LAG_PROBE_S
            await asyncio.sleep(LAG_PROBE_S)
            self._worst_lag_s = max(self._worst_lag_s, loop.time() - wake)

    async def measure(self) -> GatewayHealth:
        """Return the figures of now; the lag is the worst since the last fact."""
        backlog = await self._backlog()
        return GatewayHealth(
            at=self._clock.now(),
            source=GATEWAY,
            unsent_business=backlog.business,
            unsent_telemetry=backlog.telemetry,
            buffer_hours_left=backlog.hours_left,
            disk_free_mib=disk_free_mib(self._data_dir),
            rss_mib=rss_mib(),
            loop_lag_ms=round(self._worst_lag_s * 1000, 1),
            timequality=self._clock.quality,
            journal_rows=backlog.journal_rows,
            journal_head=backlog.journal_head,
        )


def rss_mib() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // _MIB


def disk_free_mib(path: Path) -> int:
    """Return what an ordinary user can still write on the disk of `path`."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize // _MIB
