"""Which wave is in force when: acceptance, cancelling and superseding, instants. Pure; time comes as an argument.

The book itself is `book.py`, collecting and judging parts `intake.py`. What a change of price leads to is `pricing.py`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from gateway import messages as m
from gateway import notes
from gateway.prices import intake
from gateway.prices.book import Book, BookedWave
from gateway.prices.progress import Progress, Waves
from gateway.prices.work import PAUSE, Steps, pages


@dataclass
class Turn:
    """Products to look at again; `progress` is set when the instant of a wave is the reason, to count for it."""

    gtins: deque[str]
    progress: Progress | None = None
    products: int = 0
    overtaken: int = 0


class Schedule:
    """The book in time. `turns` is the work that its changes leave to Pricing, `unswept` what can wait for that."""

    def __init__(self, kept: notes.Kept) -> None:
        announced = [row.wave.effective_at for row in kept.waves if row.state is not None and row.state.announced]
        self.now = max([kept.now, *announced])  # what has begun does not go back because a clock is behind
        self.loaded = False
        self.book = Book()
        self.waves = Waves()
        self.turns: deque[Turn] = deque()
        self.unswept: dict[str, None] = {}  # products that a converged wave may have left old lines of
        self._intake = intake.Intake()
        self._superseded_by: dict[str, m.Wave] = {}
        for head, refused in kept.heads:
            self._intake.known[intake.wave_key(head)] = head
            if head.supersedes is not None and not refused:
                self._superseded_by[head.supersedes] = head
        for row in kept.waves:
            self._restore(row)
        for part in kept.parts:
            self._intake.take(part)

    def _restore(self, row: notes.KeptWave) -> None:
        booked = BookedWave(row.wave, {line.gtin: line for line in row.lines})
        state = row.state
        if state is not None:
            booked.withdrawn_at, booked.announced = state.withdrawn_at, state.announced
        self.book.index(booked, booked.lines)
        self.book.add(booked)
        if state is not None:
            progress = self.waves.open(row.wave.id, _since(row.wave))
            progress.announced, progress.converged = state.announced, state.converged
            progress.excepted, progress.staged = state.excepted, state.staged

    def begin_with(self, gtins: deque[str]) -> None:
        """Let all products be looked at; then swept, if a stop may have cut that short."""
        self.turns.append(Turn(gtins))
        for progress in self.waves.by_wave.values():
            if progress.converged:
                self.sweep(progress.wave)

    def in_force(self, gtin: str) -> tuple[m.PriceLine, str] | None:
        """Return the line in force and its wave's id."""
        found = self.book.line(gtin, self.now)
        return None if found is None else (found[0], found[1].wave.id)

    def take(self, part: m.PricePart) -> intake.Assembly | list[m.Message]:
        """Take a part of a wave. Return the wave when it is complete and may be judged, else what is to be said."""
        taken = self._intake.take(part)
        if taken is None:
            return []
        if isinstance(taken, m.PricePart):
            return [notes.PartKept(at=part.at, source=part.source, part=taken)]
        if isinstance(taken, str):
            return [intake.wave_refused(part.wave, taken, part.at, part.source)]
        fault = self._fault(taken.wave)
        return taken if fault is None else self.refuse(taken.wave, fault, part)

    def refuse(self, wave: m.Wave, reason: str, part: m.PricePart) -> list[m.Message]:
        """Refuse a whole wave; its id stays known."""
        head = notes.HeadKept(at=part.at, source=part.source, wave=wave)
        return [head, intake.wave_refused(wave, reason, part.at, part.source)]

    def _fault(self, wave: m.Wave) -> str | None:
        if wave.expires_at is not None and wave.expires_at <= self.now:
            return f"expired at {wave.expires_at.isoformat()}, before it was complete here"
        if wave.kind == "cancel" and wave.supersedes is None:
            return "a cancel must name its wave in `supersedes`"
        target = self.book.waves.get(wave.supersedes or "")
        if target is not None and target.wave.sequence >= wave.sequence:
            return f"stale: sequence {wave.sequence} is not newer than {target.wave.sequence} of {target.wave.id}"
        return None

    def bench(self, product: Callable[[str], m.Product | None], currency: str, absurd: float | None) -> intake.Bench:
        """Return what lines are judged by now."""
        return intake.Bench(self.book, product, currency, absurd, self._price, self.now)

    def _price(self, gtin: str) -> int | None:
        found = self.book.line(gtin, self.now)
        return None if found is None else found[0].price_minor

    def enter(self, wave: m.Wave, lines: dict[str, m.PriceLine], why: m.Message) -> Steps:
        """Enter an accepted wave, and do what it says of others."""
        out: list[m.Message] = []
        if wave.kind == "change":
            booked = BookedWave(wave, lines)
            for page in pages(lines):
                self.book.index(booked, page)
                yield PAUSE
            self.book.add(booked)
            if booked.in_force(self.now):
                self._begin(booked)
        if wave.supersedes is not None:
            self._superseded_by[wave.supersedes] = wave
            if len(self._superseded_by) > intake.KNOWN:
                del self._superseded_by[next(iter(self._superseded_by))]
            out += self._withdraw(wave.supersedes, wave, why)
        earlier = self._superseded_by.get(wave.id)
        if earlier is not None and wave.kind == "change" and earlier.sequence > wave.sequence:
            out += self._withdraw(wave.id, earlier, why)
        self.due()
        yield out

    def _withdraw(self, target_id: str, by: m.Wave, why: m.Message) -> list[m.Message]:
        target = self.book.waves.get(target_id)
        if target is None:
            return []
        at = by.effective_at
        if by.kind == "change" and not target.in_force(by.issued_at):
            at = by.issued_at
        if by.effective_at <= by.issued_at:
            at = min(at, self.now)
        if target.withdrawn_at is None or at < target.withdrawn_at:
            self.book.withdraw(target_id, at)
        return [self.state(target, why.at)]

    def advance(self, at: datetime) -> None:
        """Let time go on; what that changes is left in `turns`."""
        self.now = max(self.now, at)
        self.due()

    def due(self) -> None:
        """Begin what has come into force, end what is over."""
        for booked in self.book.due(self.now):
            if booked.in_force(self.now) != booked.turned:
                self._begin(booked)

    def _begin(self, booked: BookedWave) -> None:
        progress = None
        booked.turned = booked.in_force(self.now)
        if booked.turned and not booked.announced:
            booked.announced = True
            progress = self.waves.open(booked.wave.id, _since(booked.wave))
            progress.since = _since(booked.wave)  # it may have been opened when its faces were staged
        self.turns.append(Turn(deque(booked.lines), progress))

    def state(self, booked: BookedWave, at: datetime) -> notes.WaveState:
        """Return how far a wave is, for the store."""
        progress = self.waves.by_wave.get(booked.wave.id) or Progress(booked.wave.id, at)
        return notes.WaveState(
            at=at,
            source=m.GATEWAY,
            wave=booked.wave.id,
            withdrawn_at=booked.withdrawn_at,
            announced=progress.announced,
            converged=progress.converged,
            staged=progress.staged,
            excepted=progress.excepted,
        )

    def states(self, wave: str, at: datetime) -> list[m.Message]:
        """Return the same by the wave's id; [] when it is history."""
        booked = self.book.waves.get(wave)
        return [] if booked is None else [self.state(booked, at)]

    def sweep(self, wave: str) -> None:
        """Let lines be dropped, in time, that a converged wave has made pointless."""
        booked = self.book.waves.get(wave)
        if booked is not None:
            self.unswept.update(dict.fromkeys(booked.lines))

    def take_unswept(self, count: int) -> list[str]:
        """Take some products that are to be swept."""
        taken = list(islice(self.unswept, count))
        for gtin in taken:
            del self.unswept[gtin]
        return taken

    def forget(self, gtins: list[str], at: datetime) -> list[m.Message]:
        """Drop lines of these products that can never matter again."""
        dropped = self.book.forget(gtins, self.now)
        for one in dropped:
            if one not in self.book.waves:
                self.waves.forget(one)
        return [
            notes.LinesGone(at=at, source=m.GATEWAY, wave=one, gtins=tuple(gtins), whole=one not in self.book.waves)
            for one, gtins in dropped.items()
        ]

    def local(self, instant: datetime, zone: ZoneInfo) -> str:
        """Return an instant as people of the shop read it."""
        return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def _since(wave: m.Wave) -> datetime:
    return max(wave.effective_at, wave.issued_at)
