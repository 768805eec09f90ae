"""The demo's judge: what the glass truly shows (the simulators' ground truth) against what the tills charge. Pure.

Facts of the gateway say which price a picture means and what is charged since when; the simulators say which picture
is on which glass since when. The promise: at no instant is more charged than any label of that product shows.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.hq.wire import Event

FOREVER = datetime.max.replace(tzinfo=UTC)


class Picture(NamedTuple):
    """What one face says."""

    gtin: str | None
    price_minor: int | None


class Harm(NamedTuple):
    """The promise was broken: more was charged than a label showed."""

    at: datetime
    gtin: str
    label: str
    charged_minor: int
    shown_minor: int


@dataclass
class Audit:
    """Everything seen so far."""

    pictures: dict[tuple[str, str], Picture] = field(default_factory=dict)
    labels: dict[str, set[str]] = field(default_factory=dict)
    charges: dict[str, list[tuple[datetime, int | None]]] = field(default_factory=dict)
    glass: dict[str, list[tuple[datetime, str | None]]] = field(default_factory=dict)
    sent: int = 0
    proven: set[tuple[str, str]] = field(default_factory=set)
    unknown: set[tuple[str, str]] = field(default_factory=set)

    def feed(self, event: Event) -> None:
        """Take a fact of the gateway; each once, in order."""
        data = event.data
        match event.type:
            case "label.sent":
                self.sent += 1
                self.pictures[data["label"], data["digest"]] = Picture(data["gtin"], data["price_minor"])
                self.labels.setdefault(data["gtin"], set()).add(data["label"])
            case "label.shown":
                self.proven.add((data["label"], data["digest"]))
            case "price.charged":
                self.charges.setdefault(data["gtin"], []).append((event.at, data["price_minor"]))

    def see(self, label: str, since: datetime, digest: str | None) -> None:
        """Take the ground truth of one label; told again and again, only changes are kept."""
        seen = self.glass.setdefault(label, [])
        if not seen or seen[-1] != (since, digest):
            seen.append((since, digest))

    def shown_minor(self, label: str) -> int | None:
        """Return the price that is on the glass now, by the ground truth."""
        digest = self.glass.get(label, [(FOREVER, None)])[-1][1]
        picture = self.pictures.get((label, digest)) if digest else None
        return picture.price_minor if picture else None

    def shown_at(self, gtin: str, at: datetime) -> dict[str, int | None]:
        """Return what each label of a product showed at that instant; None: nothing, or not this product."""
        return {label: self._price_at(label, gtin, at) for label in self.labels.get(gtin, ())}

    def _price_at(self, label: str, gtin: str, at: datetime) -> int | None:
        seen = self.glass.get(label, [])
        place = bisect_right(seen, at, key=lambda one: one[0])
        picture = self.pictures.get((label, seen[place - 1][1] or "")) if place else None
        return picture.price_minor if picture and picture.gtin == gtin else None

    def charged_minor(self, gtin: str) -> int | None:
        """Return what the tills charge now."""
        return self.charges.get(gtin, [(FOREVER, None)])[-1][1]

    def uploads_per_change(self) -> float | None:
        """Return how often a face was sent for each face that was proven; 1.0 is perfect."""
        return self.sent / len(self.proven) if self.proven else None

    def harm(self) -> list[Harm]:
        """Return every stretch of time in which more was charged than shown, by its beginning."""
        return sorted(harm for label in self.glass for harm in self._harm_of(label))

    def _harm_of(self, label: str) -> list[Harm]:
        seen = self.glass[label]
        ends = [since for since, _ in seen[1:]] + [FOREVER]
        found = []
        for (since, digest), until in zip(seen, ends, strict=True):
            picture = self.pictures.get((label, digest)) if digest else None
            if digest and picture is None:
                self.unknown.add((label, digest))
            if picture and picture.gtin and picture.price_minor is not None:
                found += self._overcharged(label, picture.gtin, picture.price_minor, since, until)
        return found

    def _overcharged(self, label: str, gtin: str, shown: int, since: datetime, until: datetime) -> list[Harm]:
        charges = self.charges.get(gtin, [])
        ends = [at for at, _ in charges[1:]] + [FOREVER]
        return [
            Harm(max(since, at), gtin, label, price, shown)
            for (at, price), end in zip(charges, ends, strict=True)
            if price is not None and price > shown and max(since, at) < min(until, end)
        ]
