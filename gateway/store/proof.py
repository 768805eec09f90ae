"""What label and till said about a product in one past minute, from the journal alone.

A label is followed through all that was sent to it, by every access point: a face counts from `sent` on, until a proof
by the same access point rules it out (a proof also removes whatever was on the glass before). Rows written later can
only take doubt away: a face of which no byte ever left us was never there. Not here: is the chain whole (`journal.py`).
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.prices.face_money import style_for, write_money
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
class Proof:
    """One product in the minute `from_at` .. `until_at` (exclusive).

    `fair`: whether at every instant of it the tills charged no more than any label showed or may have shown; None = one
    side is not known.
    """

    gtin: str
    timezone: str
    from_at: datetime
    until_at: datetime
    labels: tuple[LabelProof, ...]
    charged: tuple[Charge, ...]
    fair: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for `aisled prove --json`."""
        return asdict(self) | {"from_at": stamp(self.from_at), "until_at": stamp(self.until_at)}

    def text(self) -> str:
        """Return it for people, in the shop's time."""
        zone = ZoneInfo(self.timezone)
        lines = [f"{self.gtin}, {self.from_at.astimezone(zone):%Y-%m-%d %H:%M} ({self.timezone})"]
        lines += [f"  till:  {_charge_text(charge, zone)}" for charge in self.charged] or ["  till:  nothing recorded"]
        lines += [line for one in self.labels for line in _label_text(one, zone)] or ["  label: none had it"]
        return "\n".join([*lines, f"  {_VERDICTS[self.fair]}"])


_VERDICTS = {
    True: "the till charged no more than any label showed or may have shown",
    False: "THE TILL MAY HAVE CHARGED MORE THAN A LABEL SHOWED",
    None: "no comparison: label or till has no price recorded for that minute",
}


def prove(connection: sqlite3.Connection, gtin: str, at: datetime, timezone: str) -> Proof:
    """Return what is known about the minute that holds `at`. Reads only; any connection with the journal will do."""
    start = at.astimezone(UTC).replace(second=0, microsecond=0)
    end = start + timedelta(minutes=1)
    query = f"{_BOTH} WHERE gtin = ? AND label IS NOT NULL ORDER BY n"
    labels = sorted({str(entry.label) for entry in entries(connection, query, [gtin])})
    histories = {label: _history(connection, label) for label in labels}
    charges = list(entries(connection, f"{_BOTH} WHERE gtin = ? AND kind = 'charged' ORDER BY n", [gtin]))
    proofs = [_label(label, rows, stamp(start), stamp(end)) for label, rows in histories.items()]
    concerned = tuple(one for one in proofs if any(face.gtin == gtin for face in (*one.proven, *one.possible)))
    rows = sorted([*charges, *(row for history in histories.values() for row in history)], key=lambda row: row.n)
    fair = _fair(gtin, rows, stamp(start), stamp(end))
    return Proof(gtin, timezone, start, end, concerned, _charged(charges, stamp(start), stamp(end)), fair)


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

    def prices(self, gtin: str) -> list[int]:
        """Return the prices of this product that the glass shows or may show now."""
        faces = [*self.proven.values(), *(face for _, face in self.open.values())]
        return [face.price_minor for face in faces if face.gtin == gtin and face.price_minor is not None]

    def feed(self, row: Entry) -> None:
        """Take the next row."""
        if row.kind == "sent":
            self.open[row.n] = row, _shown(row, None)
        elif row.kind == "shown":
            self.open = {n: pair for n, pair in self.open.items() if self._outlives(pair[0], row)}
            self.proven = {row.n: _shown(row, row.detail)}
        elif row.outcome == "settled":
            self._settled.add((row.via, row.revision))

    def _outlives(self, sent: Entry, proof: Entry) -> bool:
        """Tell whether a face may come to show after this proof: another access point holds it, or it is newer."""
        if (sent.via, sent.revision) in self._settled:
            return False
        return sent.via != proof.via or (sent.revision or 0) > (proof.revision or 0)


def _shown(row: Entry, proof: str | None) -> Shown:
    return Shown(row.gtin, row.price_minor, row.currency, row.digest, row.at, proof, row.n)


def _money(price_minor: int | None, currency: str | None) -> str:
    if price_minor is None or currency is None:
        return "no price"
    return f"{write_money(price_minor, style_for(currency))} {currency}"


def _local(at: str, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _charge_text(charge: Charge, zone: ZoneInfo) -> str:
    return f"{_money(charge.price_minor, charge.currency)} since {_local(charge.since, zone)} ({charge.reason})"


def _label_text(one: LabelProof, zone: ZoneInfo) -> list[str]:
    lines = [
        f"  label {one.label}: showed {_money(face.price_minor, face.currency)}, proven {_local(face.since, zone)} "
        f"by {face.proof}, digest {(face.digest or '')[:12]}, row {face.row}"
        for face in one.proven
    ]
    return lines + [
        f"  label {one.label}: may have shown {_money(face.price_minor, face.currency)}, "
        f"sent {_local(face.since, zone)}, digest {(face.digest or '')[:12]}, row {face.row}"
        for face in one.possible
    ]
