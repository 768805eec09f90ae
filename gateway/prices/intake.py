"""From parts to a wave that may enter the book: parts in any order, replays, stale sequences, per-line refusals. Pure.

Parsing of bytes is in `waves.py`; what an accepted wave then does is in `pricing.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from gateway.messages import Fact, LineRefused, PriceLine, PricePart, Product, Wave, WaveRefused
from gateway.prices.book import Book
from gateway.prices.work import PAUSE, Work, pages

KNOWN = 20_000  # ids of waves that a replay is recognised by
INCOMPLETE = 200  # waves that wait for parts at the same time

Bad = tuple[int, int, str | None, str]  # part, line, GTIN, reason


def wave_key(wave: Wave) -> str:
    """Return what a wave is known by. A cancel may name its target by its own id, so it has a name space of its own."""
    return wave.id if wave.kind == "change" else f"cancel {wave.id}"


@dataclass
class Assembly:
    """A wave whose parts come in."""

    wave: Wave
    parts: dict[int, PricePart] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Tell whether all parts are here."""
        return len(self.parts) == self.wave.parts

    def in_order(self) -> list[PricePart]:
        """Return the parts by their number."""
        return [self.parts[number] for number in sorted(self.parts)]


class Intake:
    """Collects parts; `known` holds the head of every wave that was accepted or refused as a whole."""

    def __init__(self) -> None:
        self.known: dict[str, Wave] = {}
        self.assemblies: dict[str, Assembly] = {}

    def take(self, part: PricePart) -> Assembly | PricePart | str | None:
        """Return the wave when complete, the part if it is to be kept, a reason if refused, None = no-op."""
        key = wave_key(part.wave)
        known = self.known.get(key)
        if known is not None:
            return (
                None if known == part.wave else "this id was used before by another wave: give a changed wave a new id"
            )
        if key not in self.assemblies and len(self.assemblies) >= INCOMPLETE:
            return f"{INCOMPLETE} other waves still wait for parts: send those first"
        assembly = self.assemblies.setdefault(key, Assembly(part.wave))
        if assembly.wave != part.wave:
            return f"part {part.part} has another head than the parts before it"
        if part.part in assembly.parts:
            return None
        assembly.parts[part.part] = part
        if not assembly.complete:
            return part
        del self.assemblies[key]
        self.known[key] = part.wave
        if len(self.known) > KNOWN:
            del self.known[next(iter(self.known))]
        return assembly


@dataclass(frozen=True)
class Bench:
    """What a line is judged by."""

    book: Book
    product: Callable[[str], Product | None]
    currency: str
    absurd_change_percent: float | None
    current_price: Callable[[str], int | None]
    now: datetime

    def fault(self, line: PriceLine, wave: Wave) -> str | None:
        """Return why a line cannot be taken, or None."""
        if self.product(line.gtin) is None:
            return "unknown product: send its master data first"
        if line.currency != self.currency:
            return f"currency {line.currency}, but this shop sells in {self.currency}"
        newer = self.book.newer_in_force_for_good(line.gtin, wave, self.now)
        if newer is not None:
            return f"stale: sequence {wave.sequence} is older than {newer.wave.sequence} of wave {newer.wave.id}"
        return self._absurd(line)

    def _absurd(self, line: PriceLine) -> str | None:
        before = self.current_price(line.gtin)
        if self.absurd_change_percent is None or not before:
            return None
        change = 100 * (line.price_minor - before) / before
        if abs(change) <= self.absurd_change_percent:
            return None
        return f"changes the price by {change:+.0f} %, this shop allows {self.absurd_change_percent:g} %"


def judge(parts: Iterable[PricePart], bench: Bench) -> Work[tuple[dict[str, PriceLine], list[Bad]]]:
    """Return the good lines by GTIN, and the refused."""
    good: dict[str, PriceLine] = {}
    bad: list[Bad] = []
    for part in parts:
        bad.extend((part.part, r.line, r.gtin, r.reason) for r in part.refused)
        refused_here = {r.line for r in part.refused}
        numbers = (n for n in range(len(part.lines) + len(part.refused)) if n not in refused_here)
        for page in pages(zip(numbers, part.lines, strict=False)):
            for number, line in page:
                fault = "twice in this wave" if line.gtin in good else bench.fault(line, part.wave)
                if fault is None:
                    good[line.gtin] = line
                else:
                    bad.append((part.part, number, line.gtin, fault))
            yield PAUSE
    return good, bad


def line_facts(wave: Wave, bad: Iterable[Bad], at: datetime, source: str) -> list[Fact]:
    """Return one refusal fact for each bad line."""
    return [
        LineRefused(at=at, source=source, cause=wave.id, wave=wave.id, part=part, line=line, gtin=gtin, reason=reason)
        for part, line, gtin, reason in bad
    ]


def wave_refused(wave: Wave, reason: str, at: datetime, source: str) -> WaveRefused:
    """Return the refusal of a whole wave."""
    return WaveRefused(at=at, source=source, cause=wave.id, wave=wave.id, reason=reason)
