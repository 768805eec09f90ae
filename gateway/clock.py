"""The one source of time: UTC that does not believe a wrong system clock, and says how good it is.

Shop computers lose their clock battery and start without internet. So the last known time is kept on disk; a system
clock that is behind it, absurdly ahead of it, or before this software was built is doubtful: time is then the last
known plus what has passed since, quality `unknown`, until the kernel says it is synchronised or a person confirms.
Not here: durations (`loop.time()`), and what waits for trusted time (`prices/`). Next: `health.py`.
"""

import asyncio
import ctypes
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

Quality = Literal["synced", "holdover", "unknown"]

BUILT = datetime(2026, 11, 22, tzinfo=UTC)  # raised with every release: no clock can rightly be before it
SAVE_EVERY_S = 60.0
STEP_S = 1.0  # a difference to steady progress above this is a step, not slewing (at most 500 ppm)
SLACK_S = 300.0  # so far back is a correction of a drifted clock, not doubt (the kept time is a minute old as well)
KERNEL_EVERY_S = 1.0
SANE_YEARS = 50  # a kept time further than this after the build is a damaged file

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 256  # struct timex has 208 bytes on 64 bit; all zero = `modes` 0 = only read

log = logging.getLogger(__name__)


def kernel_is_synced() -> bool:
    """Ask the kernel whether a time service (NTP, PTP) holds the clock. False where it cannot be asked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = int(libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return False
    return 0 <= state < _TIME_ERROR


def boot_seconds() -> float:
    """Return seconds since boot; unlike `time.monotonic` it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SystemClock:
    """UTC now, with its quality. `run()` keeps the last known time once a minute; `load` makes one from that file."""

    def __init__(
        self,
        path: Path,
        *,
        known: datetime | None = None,
        max_ahead: timedelta = timedelta(days=30),
        wall: Callable[[], float] = time.time,
        progress: Callable[[], float] = boot_seconds,
        synced: Callable[[], bool] = kernel_is_synced,
    ) -> None:
        self._path = path
        self._max_ahead_s = max_ahead.total_seconds()
        self._wall, self._progress, self._ask_kernel = wall, progress, synced
        self._virgin = known is None  # never ran here: nothing to compare with but the build date
        self._anchor = ((known or BUILT).timestamp(), progress())  # UTC seconds that were right at that progress
        self._quality: Quality = "unknown"
        self._follows: bool | None = None  # the system clock is believed; None = not looked at yet
        self._told = False  # a person said what time it is; the system clock still says something else
        self._synced = False
        self._asked_at = float("-inf")

    @classmethod
    def load(cls, data_dir: Path, *, max_ahead: timedelta = timedelta(days=30)) -> "SystemClock":
        """Make the clock of this machine, with the time that the last run kept in `data_dir`."""
        path = data_dir / "last-known-time"
        return cls(path, known=read_kept(path), max_ahead=max_ahead)

    def now(self) -> datetime:
        """Return UTC. It can step back when a time service corrects the clock."""
        return datetime.fromtimestamp(self._seconds(), UTC)

    @property
    def quality(self) -> Quality:
        """`synced`: the kernel says so; `holdover`: plausible, but free running; `unknown`: do not schedule by it."""
        self._seconds()
        return self._quality

    def confirm(self, right: datetime | None = None) -> None:
        """Take a person's word: the system clock is right, or (when given) it is `right` now."""
        wall, progress = self._wall(), self._progress()
        self._virgin = False
        self._follows, self._told = right is None, right is not None
        self._anchor = (wall if right is None else right.timestamp(), progress)
        self._quality = "holdover"
        log.warning("a person confirmed the time: %s", self.now().isoformat())

    def save(self) -> None:
        """Keep the time of now, atomically. Raises OSError."""
        spare = self._path.with_suffix(".new")
        with spare.open("w", encoding="ascii") as file:
            file.write(self.now().isoformat() + "\n")
            file.flush()
            os.fsync(file.fileno())
        spare.replace(self._path)

    async def run(self) -> None:
        """Keep the time once a minute until cancelled; a full disk costs nothing but the freshness of what is kept."""
        while True:
            try:
                await asyncio.to_thread(self.save)
            except OSError as error:
                log.warning("cannot keep the time in %s: %s", self._path, error, extra={"once": "clock_file"})
            await asyncio.sleep(SAVE_EVERY_S)

    def _seconds(self) -> float:
        wall, progress = self._wall(), self._progress()
        right, at = self._anchor
        expected = right + progress - at
        if self._follows and abs(wall - expected) < STEP_S and progress - self._asked_at < KERNEL_EVERY_S:
            return wall
        return self._judge(wall, expected, progress)

    def _judge(self, wall: float, expected: float, progress: float) -> float:
        """Decide what to believe. The kernel's word is asked afresh after a step: setting the clock revokes it."""
        if abs(wall - expected) >= STEP_S or progress - self._asked_at >= KERNEL_EVERY_S:
            self._synced, self._asked_at = self._ask_kernel(), progress
        believed = self._believable(wall, expected)
        if believed != self._follows:
            self._say(believed, wall, expected)
        self._follows = believed
        self._told = self._told and not believed
        self._virgin = self._virgin and not believed
        self._anchor = (wall if believed else expected, progress)
        if believed:
            self._quality = "synced" if self._synced else "holdover"
        else:
            self._quality = "holdover" if self._told else "unknown"
        return self._anchor[0]

    def _believable(self, wall: float, expected: float) -> bool:
        if wall < BUILT.timestamp():
            return False
        ahead_s = wall - expected
        if self._told:  # the person knew better than the system clock: it must agree, or be synchronised
            return self._synced or abs(ahead_s) <= SLACK_S
        return self._synced or self._virgin or -SLACK_S <= ahead_s <= self._max_ahead_s

    def _say(self, believed: bool, wall: float, expected: float) -> None:  # noqa: FBT001 - one caller, named there
        text = datetime.fromtimestamp(wall, UTC).isoformat() if abs(wall) < 1e11 else str(wall)
        known = datetime.fromtimestamp(expected, UTC).isoformat()
        if believed:
            log.info("the system clock is believed: %s", text)
        else:
            log.warning(
                "the system clock is doubtful: it says %s, last known is %s; check its battery and NTP", text, known
            )


def read_kept(path: Path) -> datetime | None:
    """Return the time in the file; None when there is none or it is damaged (which is logged)."""
    try:
        kept = datetime.fromisoformat(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("no use of the kept time in %s: %s", path, error)
        return None
    if kept.tzinfo is None or not BUILT.year <= kept.year <= BUILT.year + SANE_YEARS:
        log.warning("no use of the kept time in %s: %s", path, kept)
        return None
    return max(kept, BUILT)
