"""Which price of a product is in force at an instant. Pure; the instants are handed in.

Rule: of all lines of accepted waves that have become effective, are not expired and not withdrawn, the one with the
highest sequence is in force. Hence an older sequence never overwrites a newer one, whatever order they arrive in, and
when a promotion expires or is cancelled the price before it comes back. Cancelling and superseding are withdrawals.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from gateway.messages import PriceLine, Wave

KEEP_OVERTAKEN = 4  # lines per product that a newer one has overtaken: what a late cancel can fall back to


@dataclass(slots=True)
class BookedWave:
    """A wave in the book. `immediate`: meant for the moment of issue, so that no clock can delay it."""

    wave: Wave
    lines: dict[str, PriceLine]
    withdrawn_at: datetime | None = None
    announced: bool = False  # its instant has come and was told
    turned: bool = False  # the products were looked at since it came into force
    immediate: bool = field(init=False)

    def __post_init__(self) -> None:
        self.immediate = self.wave.effective_at <= self.wave.issued_at

    def in_force(self, now: datetime) -> bool:
        """Tell whether its prices hold at this instant (were there no newer ones)."""
        wave = self.wave
        begun = self.immediate or wave.effective_at <= now
        ended = (wave.expires_at is not None and wave.expires_at <= now) or (
            self.withdrawn_at is not None and self.withdrawn_at <= now
        )
        return begun and not ended

    def over(self, now: datetime) -> bool:
        """Tell whether it can never be in force again."""
        return (self.wave.expires_at is not None and self.wave.expires_at <= now) or (
            self.withdrawn_at is not None and self.withdrawn_at <= now
        )


class Book:
    """All accepted waves, by product."""

    def __init__(self) -> None:
        self.waves: dict[str, BookedWave] = {}
        self._by_gtin: dict[str, list[BookedWave]] = {}
        self._instants: list[tuple[datetime, str]] = []

    def index(self, booked: BookedWave, gtins: Iterable[str]) -> None:
        """Let products know of their lines in a wave; to be done for all of them before it is added."""
        for gtin in gtins:
            self._by_gtin.setdefault(gtin, []).append(booked)

    def add(self, booked: BookedWave) -> None:
        """Enter a wave; its instants are remembered."""
        wave = booked.wave
        self.waves[wave.id] = booked
        for instant in (wave.effective_at, wave.expires_at, booked.withdrawn_at):
            if instant is not None:
                heapq.heappush(self._instants, (instant, wave.id))

    def withdraw(self, wave_id: str, at: datetime) -> None:
        """Take a wave back from an instant on."""
        self.waves[wave_id].withdrawn_at = at
        heapq.heappush(self._instants, (at, wave_id))

    def line(self, gtin: str, now: datetime) -> tuple[PriceLine, BookedWave] | None:
        """Return the line in force, with its wave."""
        best: BookedWave | None = None
        for booked in self._by_gtin.get(gtin, ()):
            if booked.in_force(now) and (best is None or _rank(booked) > _rank(best)):
                best = booked
        return None if best is None else (best.lines[gtin], best)

    def newer_in_force_for_good(self, gtin: str, wave: Wave, now: datetime) -> BookedWave | None:
        """Return a wave that makes a line of `wave` pointless: newer, in force, and without an end."""
        for booked in self._by_gtin.get(gtin, ()):
            endless = booked.wave.expires_at is None and booked.withdrawn_at is None
            if endless and booked.in_force(now) and booked.wave.sequence > wave.sequence:
                return booked
        return None

    def next_instant(self) -> datetime | None:
        """Return when something changes by itself next."""
        return self._instants[0][0] if self._instants else None

    def gtins(self) -> set[str]:
        """Return every product that has a line."""
        return {gtin for gtin, booked in self._by_gtin.items() if booked}

    def due(self, now: datetime) -> list[BookedWave]:
        """Take the waves whose instants have come, in order of the instants."""
        due: dict[str, BookedWave] = {}
        while self._instants and self._instants[0][0] <= now:
            wave_id = heapq.heappop(self._instants)[1]
            if wave_id in self.waves:
                due.setdefault(wave_id, self.waves[wave_id])
        return list(due.values())

    def forget(self, gtins: Iterable[str], now: datetime) -> dict[str, list[str]]:
        """Drop lines that can never matter again, and waves of which nothing is left; return the lines by wave."""
        gone: dict[str, list[str]] = {}
        for gtin in gtins:
            lines = self._by_gtin.get(gtin, [])
            if len(lines) == 1 and not lines[0].over(now):
                continue
            booked = sorted(lines, key=_rank, reverse=True)
            keep = _useful(booked, now)
            self._by_gtin[gtin] = keep
            for wave in booked:
                if wave not in keep:
                    del wave.lines[gtin]
                    gone.setdefault(wave.wave.id, []).append(gtin)
                    if not wave.lines:
                        self.waves.pop(wave.wave.id, None)
        return gone


def _useful(newest_first: list[BookedWave], now: datetime) -> list[BookedWave]:
    keep: list[BookedWave] = []
    overtaken = 0
    shadowed = False
    for booked in newest_first:
        if booked.over(now):
            continue
        if shadowed:
            overtaken += 1
            if overtaken > KEEP_OVERTAKEN:
                continue
        keep.append(booked)
        endless = booked.wave.expires_at is None and booked.withdrawn_at is None
        shadowed = shadowed or (endless and booked.in_force(now))
    return keep


def _rank(booked: BookedWave) -> tuple[int, datetime, str]:
    return booked.wave.sequence, booked.wave.effective_at, booked.wave.id
