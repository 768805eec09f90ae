"""Puts the reader's times on our clock, and makes `TagRead`s of what it reported. Pure: the time comes from the caller.

A report arrives later than it was made, never earlier. So the least delay of the last minutes is how far the clocks are
apart, and what was kept back (a burst after a reconnect, a disk that was slow) keeps its own time. A reader without UTC
tells microseconds since its start; the same holds for them. Without any time the arrival counts.
"""

from collections.abc import Callable
from typing import Any, cast

from drivers._llrp_reports import TagSeen
from gateway.messages import TagRead

WINDOW_US = 300_000_000  # after two of these a clock that drifts or was put back a little is followed
AHEAD_US = 2_000_000  # a clock that leaps ahead by more is believed when the next report says the same
BACK_US = 10_000_000  # reports come in order: a newest read that is older by this means a clock that was put back
EPC_BYTES_MAX = 62  # `Epc`: longer ones are noise; a tag with an empty EPC has no identity
NO_FLOOR = -1_000_000
NAMES_MAX = 50_000  # 8 MiB

UTC_STAMPS = TagSeen._fields.index("last_utc_us"), TagSeen._fields.index("first_utc_us")
_STAMPS = (*UTC_STAMPS, TagSeen._fields.index("last_uptime_us"), TagSeen._fields.index("first_uptime_us"))


class Offset:
    """How far a clock of the reader is behind ours: `us`, what to add to its microseconds; None = nothing heard yet."""

    def __init__(self) -> None:
        self.us: int | None = None
        self._before = self._least = self._since_us = self._newest_us = 0
        self._leapt = False

    def reset(self, reader_us: int, now_us: int) -> int:
        """Begin anew with an instant of the reader that is known to be fresh."""
        self.us = self._before = self._least = now_us - reader_us
        self._since_us, self._newest_us, self._leapt = now_us, 0, False
        return self.us

    def heard(self, reader_us: int, now_us: int) -> int:
        """Take the newest instant of a report that arrived now; return what to add."""
        if self.us is None or reader_us < self._newest_us - BACK_US:
            return self.reset(reader_us, now_us)
        delay = now_us - reader_us
        if delay < self.us - AHEAD_US and not self._leapt:
            self._leapt = True
            return self.us
        self._leapt, self._newest_us = False, reader_us
        if now_us - self._since_us >= WINDOW_US:
            self._before, self._least, self._since_us = self._least, delay, now_us
        elif delay < self._least:
            self._least = delay
        self.us = min(self._before, self._least)
        return self.us


class ReaderClock:
    """Both clocks of one connection."""

    def __init__(self) -> None:
        self._utc, self._uptime = Offset(), Offset()
        self._names: dict[bytes, str] = {}

    @property
    def offset_s(self) -> float | None:
        """Seconds that the reader's UTC clock is behind ours."""
        return None if self._utc.us is None else self._utc.us / 1e6

    def greeted(self, utc_us: int | None, uptime_us: int | None, now_us: int) -> None:
        """Take the time of the event that opens a connection: it was made just now."""
        if utc_us is not None:
            self._utc.reset(utc_us, now_us)
        if uptime_us is not None:
            self._uptime.reset(uptime_us, now_us)

    def instant_us(self, utc_us: int | None, uptime_us: int | None, now_us: int) -> int:
        """Return when an event happened, by our clock."""
        for clock, told in ((self._utc, utc_us), (self._uptime, uptime_us)):
            if told is not None and clock.us is not None:
                return min(told + clock.us, now_us)
        return now_us

    def reads(self, seen: list[TagSeen], now_us: int, floor_cdbm: int | None = None) -> list[TagRead]:
        """Return the reads of reports that arrived at `now_us`; what is below the floor or no EPC is left out."""
        floor = NO_FLOOR if floor_cdbm is None else floor_cdbm
        names, reads = self._names, list[TagRead]()
        for at_us, tag in zip(self._stamps(seen, now_us), seen, strict=True):
            epc, antenna, dbm, power, count, phase, zebra, _, _, _, _, _, _, _, _ = tag
            if power is None and dbm is not None:
                power = 100 * dbm
            name = names.get(epc) or self._name(epc)
            if name and (power is None or power >= floor):
                if zebra is not None:
                    phase = zebra % 65536 // 16
                reads.append(_new(TagRead, (name, antenna or 0, at_us, power, count or 1, phase)))
        return reads

    def _name(self, epc: bytes) -> str:
        """Return an EPC as text, always the same object: a shop's tags are read over and over."""
        if not 0 < len(epc) <= EPC_BYTES_MAX:
            return ""
        if len(self._names) >= NAMES_MAX:
            self._names.clear()
        return self._names.setdefault(epc, epc.hex().upper())

    def _stamps(self, seen: list[TagSeen], now_us: int) -> list[int]:
        """Return our time of each: all tags of a reader carry the same kinds of time, the best one counts."""
        slot = next((slot for slot in _STAMPS if seen and seen[0][slot] is not None), None)
        told: list[Any] = [None] if slot is None else [tag[slot] for tag in seen]
        if None in told:
            return [now_us] * len(seen)
        newest = max(told)
        offset = (self._utc if slot in UTC_STAMPS else self._uptime).heard(newest, now_us)
        if newest + offset > now_us:
            return [min(stamp + offset, now_us) for stamp in told]
        return [stamp + offset for stamp in told]


_new = cast("Callable[[type[TagRead], tuple[Any, ...]], TagRead]", tuple.__new__)  # half the time of TagRead(...)
