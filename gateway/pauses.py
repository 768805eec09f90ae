"""Keeps the interpreter's own pauses from the tills: full garbage collections, and threads that hold it for long.

One full collection looks at every object of the shop, which takes a quarter of a second, and Python does one whenever a
wave has made enough new ones. They are made here instead, when nothing is going on. (Measured: waves and look-ups leave
some ten objects in cycles that only a full collection finds, so memory does not grow meanwhile.) The young generations
are collected in small portions. What else makes tills wait: `core.py` (`TURN_S`).
"""

import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable, Iterator

SWITCH_S = 0.0005  # a thread that commits a wave gives way to the event loop after so long; 0.1 ms was no better
EVERY_S = 6 * 3600.0
QUIET_S = 60.0  # no commit for so long
LATEST_S = 48 * 3600.0  # a shop that is never quiet
NEVER = 2**30
# New objects to a search of the newest, of those to one of the middle, of those to all. A wave's objects live on:
# 10 000 took a search 4 ms and up to 16, 200 000 took 90 ms (measured); so portions are smaller than in `garbage.py`.
THRESHOLDS = 2000, 5, NEVER


class Pauses:
    """Collects when it is quiet. `commits` counts what the core has done."""

    def __init__(self, commits: Callable[[], int]) -> None:
        self._commits = commits

    async def run(self) -> None:
        """Work until cancelled; then Python does as before."""
        with _own_rules():
            waited_s = 0.0
            while True:
                before = self._commits()
                await asyncio.sleep(QUIET_S)
                waited_s += QUIET_S
                if waited_s >= LATEST_S or (waited_s >= EVERY_S and self._commits() == before):
                    gc.collect()
                    waited_s = 0.0


@contextlib.contextmanager
def _own_rules() -> Iterator[None]:
    thresholds, interval_s = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()  # what was loaded at the start stays, and need not be looked at again
    gc.set_threshold(*THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
