"""The price board: what tills are told. It follows the commits: a price is on it only when it is on disk. Pure.

Three views: the price of a product now, the feed of changes by version, and what labels could show and tills could
charge at an instant of the last quarter of an hour (older instants: the journal, `store/proof.py`). Nothing is decided
here: `till.py` did, by `switch.py`. Who asks: `till_desk.py`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NamedTuple, Protocol, TypeVar

from gateway import messages as m
from gateway import notes

RECENT = timedelta(minutes=15)
FACES_TOLD = 16  # most faces named as evidence; the lowest prices are


class _Since(Protocol):
    @property
    def since(self) -> datetime: ...


State = TypeVar("State", bound=_Since)


class Charged(NamedTuple):
    """What a product costs from `since` on; a null price = it is not for sale."""

    since: datetime
    price_minor: int | None
    wave: str | None
    version: int


class _Glass(NamedTuple):
    since: datetime
    entries: tuple[notes.FaceRow, ...]


class PriceBoard:
    """Prices as committed. `started`: nothing is known of the time before it, but what was so then."""

    def __init__(self, kept: notes.Kept, started: datetime) -> None:
        self._started = started
        self._charges: dict[str, list[Charged]] = {}
        self._feed: dict[int, str] = {}  # version -> product, in the order of versions, the newest of each product
        self._glass: dict[str, list[_Glass]] = {}
        self._labels: dict[str, set[str]] = {}
        self.version = kept.version
        for gtin, charge in sorted(kept.charges.items(), key=lambda pair: pair[1].version):
            self._take_charge(gtin, Charged(started, charge.price_minor, charge.wave, charge.version))
        for glass in kept.glasses:
            self._take_glass(glass.label, _Glass(started, glass.entries))

    def committed(self, messages: Sequence[m.Message]) -> None:
        """Follow one commit."""
        for message in messages:
            if isinstance(message, m.PriceCharged):
                charged = Charged(message.at, message.price_minor, message.wave, message.version)
                self._take_charge(message.gtin, charged)
            elif isinstance(message, notes.GlassKept):
                self._take_glass(message.label, _Glass(message.at, message.entries))

    def charged(self, gtin: str) -> Charged | None:
        """Return what the tills charge now."""
        history = self._charges.get(gtin)
        return None if history is None else history[-1]

    def changes(self, since: int) -> list[tuple[str, Charged]]:
        """Return the newest price of every product that changed after a version, oldest first.

        A version that was never given out asks for everything.
        """
        newer = [self._feed[version] for version in self._newer(since if since <= self.version else 0)]
        return [(gtin, self._charges[gtin][-1]) for gtin in reversed(newer)]

    def shelf_at(self, gtin: str, at: datetime, now: datetime) -> m.ShelfThen | None:
        """Return what was so at an instant; None = longer ago than is remembered here."""
        if at < self._started or at < now - RECENT:
            return None
        charged = _at(self._charges.get(gtin, []), at)
        faces = sorted(self._faces(gtin, at), key=lambda face: (face.price_minor, face.label))
        return m.ShelfThen(
            at=at,
            gtin=gtin,
            lowest_minor=faces[0].price_minor if faces else None,
            charged_minor=None if charged is None else charged.price_minor,
            version=None if charged is None else charged.version,
            wave=None if charged is None else charged.wave,
            faces=tuple(faces[:FACES_TOLD]),
            basis="memory",
        )

    def _newer(self, since: int) -> Iterator[int]:
        return takewhile(lambda version: version > since, reversed(self._feed))

    def _faces(self, gtin: str, at: datetime) -> Iterator[m.ShownPrice]:
        for label in self._labels.get(gtin, ()):
            glass = _at(self._glass[label], at)
            for revision, via, product, price, wave, _, state, *_ in () if glass is None else glass.entries:
                if product == gtin and price is not None:
                    yield m.ShownPrice(
                        label=label, price_minor=price, wave=wave, via=via, revision=revision, state=state
                    )

    def _take_charge(self, gtin: str, charged: Charged) -> None:
        history = self._charges.setdefault(gtin, [])
        if history:
            self._feed.pop(history[-1].version, None)
        _append(history, charged)
        self._feed[charged.version] = gtin
        self.version = max(self.version, charged.version)

    def _take_glass(self, label: str, glass: _Glass) -> None:
        _append(self._glass.setdefault(label, []), glass)
        for _, _, gtin, price, *_ in glass.entries:
            if gtin is not None and price is not None:
                self._labels.setdefault(gtin, set()).add(label)


def _append(history: list[State], new: State) -> None:
    """Add the newest state; forget those that ended longer ago than is asked for, or by a clock that was set back."""
    if history and new.since < history[-1].since:
        history.clear()
    history.append(new)
    while len(history) > 1 and history[1].since <= new.since - RECENT:
        del history[0]


def _at(history: Sequence[State], at: datetime) -> State | None:
    """Return the state at an instant, None when it is before the first."""
    n = bisect_right(history, at, key=lambda one: one.since)
    return history[n - 1] if n else None
