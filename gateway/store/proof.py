"""What label and till said about a product in one past minute, from the journal alone.

A label is followed through all that was sent to it, by every access point: a face counts from `sent` on, until a proof
by the same access point rules it out (a proof also removes whatever was on the glass before). Rows written later can
only take doubt away: a face of which no byte ever left us was never there. Not here: is the chain
whole (`journal.py`), how people read it (`proof_text.py`).
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Literal

from gateway.messages import ShelfThen, ShownPrice
from gateway.prices.board import FACES_TOLD
from gateway.store.journal import Entry, entries, stamp

_BOTH = "SELECT * FROM (SELECT * FROM journal_carried UNION ALL SELECT * FROM journal)"


@dataclass(frozen=True)
class Shown:
    """One face, and the row that is its evidence. `proof`: pixels, hash, report; None = sent and not proven by then."""

    gtin: str | None
    price_minor: int | None
    currency: str | None
    digest: str | None
    since: str
    proof: str | None
    row: int


@dataclass(frozen=True)
class LabelProof:
    """One label in that minute. `proven`: seen on its glass. `possible`: may have been on it instead."""

    label: str
    proven: tuple[Shown, ...]
    possible: tuple[Shown, ...]


@dataclass(frozen=True)
class Charge:
    """What the tills could charge, from `since` on. A null price = the product had none."""

    price_minor: int | None
    currency: str | None
    since: str
    reason: str | None
    row: int


@dataclass(frozen=True)
class Sold:
    """One line that a till sold. `lowest_minor`: the lowest price that a label could show then.

    `at`: by our clock; by the till's own for want of evidence. `line` also tells the till's own when it was another.
    """

    terminal: str
    line: str
    price_minor: int | None
    currency: str | None
    at: str
    lowest_minor: int | None
    row: int


@dataclass(frozen=True)
class Proof:
    """One product in the minute `from_at` .. `until_at` (exclusive).

    `fair`: whether at every instant of it the tills charged, and in each sale of it took, no more than any label showed
    or may have shown; None = one side is not known.
    """

    gtin: str
    timezone: str
    from_at: datetime
    until_at: datetime
    labels: tuple[LabelProof, ...]
    charged: tuple[Charge, ...]
    sold: tuple[Sold, ...]
    fair: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for `aisled prove --json`."""
        return asdict(self) | {"from_at": stamp(self.from_at), "until_at": stamp(self.until_at)}


def prove(connection: sqlite3.Connection, gtin: str, at: datetime, timezone: str) -> Proof:
    """Return what is known about the minute that holds `at`. Reads only; any connection with the journal will do."""
    start = at.astimezone(UTC).replace(second=0, microsecond=0)
    end = start + timedelta(minutes=1)
    past = _past(connection, gtin)
    proofs = [_label(label, rows, stamp(start), stamp(end)) for label, rows in past.labels.items()]
    concerned = tuple(one for one in proofs if any(face.gtin == gtin for face in (*one.proven, *one.possible)))
    fair = _fair(gtin, past.rows(), stamp(start), stamp(end))
    sold = tuple(_sold(connection, past, stamp(start), stamp(end)))
    if any(line.lowest_minor is not None and (line.price_minor or 0) > line.lowest_minor for line in sold):
        fair = False
    return Proof(gtin, timezone, start, end, concerned, _charged(past.charges, stamp(start), stamp(end)), sold, fair)


def shelf_then(connection: sqlite3.Connection, gtin: str, at: datetime) -> ShelfThen:
    """Return what labels could show and tills could charge at an instant, for a sale that is told later."""
    return shelves_then(connection, [(gtin, at)])[gtin, at]


def shelves_then(
    connection: sqlite3.Connection, wanted: Iterable[tuple[str, datetime]]
) -> dict[tuple[str, datetime], ShelfThen]:
    """Return the same for many instants. What happened to a product is read once, what was sold is not."""
    instants: dict[str, list[datetime]] = {}
    for gtin, at in wanted:
        instants.setdefault(gtin, []).append(at)
    found: dict[tuple[str, datetime], ShelfThen] = {}
    for gtin, ats in instants.items():
        past = _past(connection, gtin)
        found |= {(gtin, at): past.shelf(at) for at in ats}
    return found


@dataclass(frozen=True)
class _Past:
    """What happened to a product. `charges`: of its tills; `labels`: all of each label that ever had it."""

    gtin: str
    charges: list[Entry]
    labels: dict[str, list[Entry]]
    steps: list[str]  # the instants of all rows, in the order of time
    _replayed: dict[int, ShelfThen] = field(default_factory=dict)

    def rows(self) -> list[Entry]:
        """Return all rows in the order of the journal."""
        return sorted(chain(self.charges, *self.labels.values()), key=lambda row: row.n)

    def shelf(self, at: datetime) -> ShelfThen:
        """Return what was so at an instant. Instants with no row between them share one replay."""
        step = bisect_right(self.steps, stamp(at))
        if step not in self._replayed:
            self._replayed[step] = self._replay(at)
        return self._replayed[step].model_copy(update={"at": at})

    def _replay(self, at: datetime) -> ShelfThen:
        instant = stamp(at)
        charge = next((row for row in reversed(self.charges) if row.at <= instant), None)
        faces = sorted(
            (face for label, rows in self.labels.items() for face in _faces(self.gtin, label, rows, instant)),
            key=lambda face: (face.price_minor, face.label),
        )
        return ShelfThen(
            at=at,
            gtin=self.gtin,
            lowest_minor=faces[0].price_minor if faces else None,
            charged_minor=None if charge is None else charge.price_minor,
            version=None,
            wave=None if charge is None else charge.wave,
            faces=tuple(faces[:FACES_TOLD]),
            basis="journal" if charge is not None or faces else "unknown",
        )


def _past(connection: sqlite3.Connection, gtin: str) -> _Past:
    rows = list(entries(connection, f"{_BOTH} WHERE gtin = ? AND kind <> 'sold' ORDER BY n", [gtin]))
    charges = [row for row in rows if row.kind == "charged"]
    names = sorted({row.label for row in rows if row.label is not None})
    labels = {label: _history(connection, label) for label in names}
    return _Past(gtin, charges, labels, sorted(row.at for row in chain(charges, *labels.values())))


def _faces(gtin: str, label: str, history: Iterable[Entry], instant: str) -> Iterator[ShownPrice]:
    glass = _Glass()
    for row in history:
        if row.at <= instant:
            glass.feed(row)
    return glass.faces(label, gtin)


def _sold(connection: sqlite3.Connection, past: _Past, start: str, end: str) -> Iterator[Sold]:
    query = f"{_BOTH} WHERE gtin = ? AND kind = 'sold' AND at >= ? AND at < ? ORDER BY at, n"
    for row in entries(connection, query, [past.gtin, start, end]):
        lowest = past.shelf(datetime.fromisoformat(row.at)).lowest_minor
        yield Sold(row.via, row.detail or "", row.price_minor, row.currency, row.at, lowest, row.n)


def _history(connection: sqlite3.Connection, label: str) -> list[Entry]:
    """Return what happened to a label, less the faces of which no byte ever left us."""
    rows = list(entries(connection, f"{_BOTH} WHERE label = ? ORDER BY n", [label]))
    never_sent = {(row.via, row.revision) for row in rows if row.outcome == "never_sent"}
    return [row for row in rows if (row.via, row.revision) not in never_sent]


def _fair(gtin: str, rows: Iterable[Entry], start: str, end: str) -> bool | None:
    """Replay tills and labels together, in the order of the journal, and compare after each row of the minute."""
    glasses: dict[str, _Glass] = {}
    charge: int | None = None
    verdict: bool | None = None
    for row in rows:
        if row.at >= end:
            continue
        if row.kind == "charged":
            charge = row.price_minor
        else:
            glasses.setdefault(str(row.label), _Glass()).feed(row)
        lowest = min((price for glass in glasses.values() for price in glass.prices(gtin)), default=None)
        known = None if charge is None or lowest is None else charge <= lowest
        verdict = known if row.at <= start or verdict is None else verdict and known is not False
    return verdict


def _charged(rows: Iterable[Entry], start: str, end: str) -> tuple[Charge, ...]:
    found: list[Charge] = []
    for row in rows:
        if row.at >= end:
            continue  # not the end: a clock that was set back leaves rows out of order
        if row.at <= start:
            found.clear()
        found.append(Charge(row.price_minor, row.currency, row.at, row.detail, row.n))
    return tuple(found)


def _label(label: str, history: Iterable[Entry], start: str, end: str) -> LabelProof:
    glass = _Glass()
    proven: dict[int, Shown] = {}
    possible: dict[int, Shown] = {}
    for row in history:
        if row.at >= end:
            continue
        glass.feed(row)
        if row.at <= start:
            proven.clear()
            possible.clear()
        proven |= glass.proven
        possible |= {n: face for n, (_, face) in glass.open.items()}
    return LabelProof(label, tuple(proven.values()), tuple(possible.values()))


class _Glass:
    """One label while its rows are replayed. Keys are row numbers of the evidence."""

    def __init__(self) -> None:
        self.proven: dict[int, Shown] = {}
        self.open: dict[int, tuple[Entry, Shown]] = {}
        self._settled: set[tuple[str, int | None]] = set()
        self._evidence: list[Entry] = []

    def prices(self, gtin: str) -> list[int]:
        """Return the prices of this product that the glass shows or may show now."""
        faces = [*self.proven.values(), *(face for _, face in self.open.values())]
        return [face.price_minor for face in faces if face.gtin == gtin and face.price_minor is not None]

    def faces(self, label: str, gtin: str) -> Iterator[ShownPrice]:
        """Yield the faces with a price of this product that the glass shows or may show now."""
        for row in self._evidence:
            yield from _face(row, label, gtin, "proven")
        for row, _ in self.open.values():
            yield from _face(row, label, gtin, "settled" if (row.via, row.revision) in self._settled else "sent")

    def feed(self, row: Entry) -> None:
        """Take the next row."""
        if row.kind == "sent":
            self.open[row.n] = row, _shown(row, None)
        elif row.kind == "shown":
            self.open = {n: pair for n, pair in self.open.items() if self._outlives(pair[0], row)}
            self.proven = {row.n: _shown(row, row.detail)}
            self._evidence = [row]
        elif row.outcome == "settled":
            self._settled.add((row.via, row.revision))

    def _outlives(self, sent: Entry, proof: Entry) -> bool:
        """Tell whether a face may come to show after this proof: another access point holds it, or it is newer."""
        if (sent.via, sent.revision) in self._settled:
            return False
        return sent.via != proof.via or (sent.revision or 0) > (proof.revision or 0)


def _face(row: Entry, label: str, gtin: str, state: Literal["sent", "settled", "proven"]) -> Iterator[ShownPrice]:
    if row.gtin == gtin and row.price_minor is not None:
        yield ShownPrice(
            label=label,
            price_minor=row.price_minor,
            wave=row.wave,
            via=row.via,
            revision=row.revision or 0,
            state=state,
        )


def _shown(row: Entry, proof: str | None) -> Shown:
    return Shown(row.gtin, row.price_minor, row.currency, row.digest, row.at, proof, row.n)
