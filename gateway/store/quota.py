"""How much may wait for head office, by class, and what gives way.

Telemetry over its quota is thinned (every second event of the oldest quarter), then dropped, oldest first. Business is
never dropped: at its quota new input is refused, while facts about prices and labels already in motion are still kept.
Their reserve is telemetry's room: each byte of business above its quota takes a byte from telemetry's, so the disk sees
the sum of the two quotas and no more until telemetry is gone. Each drop is a BufferDropped fact in the same commit.
A row in flight may be dropped too: it was declared and may still arrive, which head office tolerates.
Not here: the disk itself being full (`relief.py`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import StoreError
from gateway.messages import (
    BindingsUpdate,
    BufferDropped,
    Message,
    PlanogramUpdate,
    PosTransaction,
    PricePart,
    ProductsUpdate,
    SensorEventKept,
    Stream,
    TillEvents,
)
from gateway.store.outbox import Outbox, dropped

MIB = 1024 * 1024
NEW_INPUT = (
    PricePart,
    ProductsUpdate,
    BindingsUpdate,
    PlanogramUpdate,
    SensorEventKept,
    TillEvents,
    PosTransaction,
)
DROP_SHARE = 16  # dropped at once: a 16th of what waits, so that declarations stay few
LEAST_SHED_BYTES = 65536
SAMPLE_S = 10.0
SAMPLES = 360  # the present rate is that of the last hour


@dataclass(frozen=True)
class Quota:
    """Bytes are those of the events; the file needs about a tenth more."""

    business_bytes: int = 512 * MIB
    telemetry_bytes: int = 1024 * MIB
    telemetry_rows: int = 10_000_000


def refusal(quota: Quota, outbox: Outbox, messages: Sequence[Message]) -> StoreError | None:
    """Return why this batch cannot be taken: it holds new input while business is at its quota."""
    waiting = outbox.counters["business"]
    if waiting.bytes < quota.business_bytes or not any(isinstance(message, NEW_INPUT) for message in messages):
        return None
    return StoreError(
        f"{waiting.rows} business events ({waiting.bytes // MIB} MiB, the quota) wait for head office: nothing new is "
        "taken until some are sent; mend the line to head office, or raise the quota"
    )


def enforce(quota: Quota, outbox: Outbox) -> None:
    """Make telemetry fit: thin, then drop, and declare it. Inside the transaction."""
    telemetry, business = outbox.counters["telemetry"], outbox.counters["business"]
    declared: list[BufferDropped] = []
    while telemetry.rows:
        room = quota.telemetry_bytes - max(0, business.bytes - quota.business_bytes)
        if telemetry.bytes <= room and telemetry.rows <= quota.telemetry_rows:
            break
        declared.append(_thin(outbox) or _drop(outbox, DROP_SHARE, "quota: the oldest telemetry was dropped"))
    outbox.add(declared)


def shed(outbox: Outbox) -> None:
    """Drop the oldest quarter of telemetry, because the disk is full. Inside the transaction."""
    if outbox.counters["telemetry"].bytes >= LEAST_SHED_BYTES:  # less room is not worth its declaration
        outbox.add([_drop(outbox, 4, "disk full: the oldest telemetry was dropped")])


def _thin(outbox: Outbox) -> BufferDropped | None:
    """Take every second event of the oldest quarter; None when that was done to most of it already."""
    counters = outbox.counters["telemetry"]
    oldest = outbox.oldest("telemetry")
    span = counters.last - oldest + 1
    first, last = max(oldest, counters.thinned + 1), oldest + span // 4
    if last - first < max(1, span // DROP_SHARE):
        return None
    counters.thinned = last
    taken = outbox.drop_even("telemetry", first, last)
    return _declare(outbox, first, last, taken, "quota: every second event was dropped")


def _drop(outbox: Outbox, share: int, reason: str) -> BufferDropped:
    oldest = outbox.oldest("telemetry")
    through = oldest + (outbox.counters["telemetry"].last - oldest + 1) // share
    return _declare(outbox, oldest, through, outbox.drop_through("telemetry", through), reason)


def _declare(outbox: Outbox, first: int, last: int, count: int, reason: str) -> BufferDropped:
    return dropped("telemetry", first, last, count, reason, outbox.clock.now())


class Forecast:
    """Hours until a class is full, if head office took nothing from now on, at the rate of the last hour."""

    def __init__(self, quota: Quota) -> None:
        self._rooms: dict[Stream, int] = {"business": quota.business_bytes, "telemetry": quota.telemetry_bytes}
        self._samples: deque[tuple[float, dict[Stream, int]]] = deque(maxlen=SAMPLES)

    def note(self, now_s: float, outbox: Outbox) -> None:
        """Take a sample when the last one is old enough. `now_s` is a duration clock."""
        if not self._samples or now_s - self._samples[-1][0] >= SAMPLE_S:
            self._samples.append((now_s, dict(outbox.written)))

    def hours_left(self, now_s: float, outbox: Outbox, disk_free_bytes: int) -> dict[Stream, float | None]:
        """Return hours by class; None while nothing was written, or for less than SAMPLE_S."""
        if not self._samples or now_s - self._samples[0][0] < SAMPLE_S:
            return dict.fromkeys(self._rooms)
        start_s, then = self._samples[0]
        hours: dict[Stream, float | None] = {}
        for stream, quota in self._rooms.items():
            per_s = (outbox.written[stream] - then[stream]) / (now_s - start_s)
            room = max(0, min(quota - outbox.counters[stream].bytes, disk_free_bytes))
            hours[stream] = room / per_s / 3600 if per_s > 0 else None
        return hours
