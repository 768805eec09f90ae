"""The clocks of one simulated till, and the names that it makes from them. Pure: time and chance are handed in.

A till has a wall clock that may be wrong (`skew_s`) and a clock that only goes forward, for leases. The truth is kept
on the gateway's axis, which is the wall clock without the skew.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

Seconds = Callable[[], float]
Utc = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the machine's own time."""
    return datetime.now(UTC)


class TillClock:
    """`elapsed_s` never jumps (the loop's time); `utc` is the gateway's axis; `skew_s` = how wrong the till is."""

    def __init__(self, elapsed_s: Seconds, utc: Utc) -> None:
        self.elapsed_s = elapsed_s
        self._utc = utc
        self.skew_s = 0.0

    def true(self) -> datetime:
        """Return the time as it really is, to the millisecond."""
        return _to_ms(self._utc())

    def wall(self) -> datetime:
        """Return the time that the till believes and puts into its events."""
        return _to_ms(self._utc() + timedelta(seconds=self.skew_s))


def _to_ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def rfc3339(at: datetime) -> str:
    """Write an instant as the interface wants it: UTC, with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def uuid7(at: datetime, rng: Random) -> str:
    """Return a UUID of version 7 (RFC 9562, 5.7): 48 bits of milliseconds, the rest by chance."""
    at_ms = round(at.timestamp() * 1000) & (2**48 - 1)
    number = at_ms << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 0b10 << 62 | rng.getrandbits(62)
    return str(UUID(int=number))
