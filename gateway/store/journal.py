"""The price journal: an append-only, hash-chained table of what was wanted, sent, shown, charged and sold, and when.

Each row's hash is SHA-256 over the hash before it and the row in canonical form, so no row can be changed, removed or
put in between without breaking every row after it. A forger who rewrites the whole chain is caught by comparing the
head with one told to others before (`head`). Closed parts leave through `archive.py`, which keeps the chain whole;
what the rows prove about one minute is in `proof.py`.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlite_utils import Database, Migrations

from gateway import messages as m

migrations = Migrations("journal")
COLUMNS = "n, at, kind, via, label, gtin, price_minor, currency, wave, digest, revision, outcome, detail, prev, hash"
_INSERT = f"INSERT INTO journal ({COLUMNS}) VALUES ({', '.join('?' * 15)})"  # noqa: S608 - constants
START = bytes(32)


class Entry(NamedTuple):
    """One row. `at`: UTC, RFC 3339 with microseconds. `detail`: proof, reason, the content rendered, or the line sold.

    `at` of a sale is by our clock when the shelf of that instant is known; the till's own time is then in `detail`,
    if it was another.
    """

    n: int
    at: str
    kind: str
    via: str
    label: str | None
    gtin: str | None
    price_minor: int | None
    currency: str | None
    wave: str | None
    digest: str | None
    revision: int | None
    outcome: str | None
    detail: str | None
    prev: bytes
    hash: bytes

    def sound(self) -> bool:
        """Tell whether the hash is that of the row."""
        return chain(self.prev, self[:-2]) == self.hash


class Head(NamedTuple):
    """End of the chain: number and hash of the newest row."""

    n: int
    hash: bytes


Body = tuple[object, ...]


@migrations()
def tables(db: Database) -> None:
    """Create the chain, its head, and what archived parts leave behind."""
    shape = (
        "(n INTEGER PRIMARY KEY, at TEXT, kind TEXT, via TEXT, label TEXT, gtin TEXT, price_minor INTEGER, "
        "currency TEXT, wave TEXT, digest TEXT, revision INTEGER, outcome TEXT, detail TEXT, "
        "prev BLOB, hash BLOB) STRICT"
    )
    db.execute(f"CREATE TABLE journal {shape}")
    db.execute("CREATE INDEX journal_gtin ON journal (gtin, n) WHERE gtin IS NOT NULL")
    db.execute("CREATE INDEX journal_label ON journal (label, n) WHERE label IS NOT NULL")
    db.execute(f"CREATE TABLE journal_carried {shape}")
    db.execute("CREATE INDEX journal_carried_label ON journal_carried (label, via, kind) WHERE label IS NOT NULL")
    db.execute("CREATE INDEX journal_carried_gtin ON journal_carried (gtin, kind)")
    db.execute("CREATE TABLE journal_head (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER, hash BLOB) STRICT")
    db.execute("INSERT INTO journal_head VALUES (1, 0, zeroblob(32))")
    db.execute(
        "CREATE TABLE journal_checkpoint (n INTEGER PRIMARY KEY, hash BLOB, first INTEGER, closed_at TEXT, "
        "file TEXT, file_sha256 TEXT) STRICT"
    )


@migrations()
def sold_apart(db: Database) -> None:
    """Give sales an index of their own: a product has thousands, and who asks for its labels must not walk them."""
    db.execute("CREATE INDEX journal_shelf ON journal (gtin, n) WHERE gtin IS NOT NULL AND kind <> 'sold'")
    db.execute("CREATE INDEX journal_sold ON journal (gtin, at) WHERE kind = 'sold'")
    db.execute("DROP INDEX journal_gtin")


def chain(prev: bytes, body: Body) -> bytes:
    """Return a row's hash. Canonical form: the fields less the hashes as a JSON array, UTF-8, no blanks."""
    return hashlib.sha256(prev + to_json(body)).digest()


class Journal:
    """The projection: writes a row for each message that concerns a price."""

    migrations = migrations

    def apply(self, connection: sqlite3.Connection, messages: Sequence[m.Message]) -> None:
        """Append what this batch says, inside the caller's transaction."""
        kept = [(message, describe) for message in messages if (describe := _KINDS.get(type(message))) is not None]
        if not kept:
            return
        n, prev = connection.execute("SELECT n, hash FROM journal_head").fetchone()
        rows: list[Body] = []
        for message, describe in kept:
            n += 1
            body = (n, stamp(_instant(message)), *describe(message))
            rows.append((*body, prev, prev := chain(prev, body)))
        connection.executemany(_INSERT, rows)
        connection.execute("UPDATE journal_head SET n = ?, hash = ?", [n, prev])


def stamp(at: datetime) -> str:
    """Return an instant in the form that the journal keeps: fixed width, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def head(connection: sqlite3.Connection) -> Head:
    """Return the end of the chain. Told to head office now and then, it fixes everything before."""
    return Head(*connection.execute("SELECT n, hash FROM journal_head").fetchone())


def verify(connection: sqlite3.Connection) -> int | None:
    """Return the number of the first row that is not what was written, None when the whole chain holds."""
    for entry in entries(connection, "SELECT * FROM journal_carried ORDER BY n"):
        if not entry.sound():
            return entry.n
    n, prev = connection.execute("SELECT n, hash FROM journal_checkpoint ORDER BY n DESC LIMIT 1").fetchone() or (
        0,
        START,
    )
    for entry in entries(connection, "SELECT * FROM journal ORDER BY n"):
        if entry.n != n + 1 or entry.prev != prev or not entry.sound():
            return int(n) + 1
        n, prev = entry.n, entry.hash
    return None if head(connection) == (n, prev) else int(n) + 1


def entries(connection: sqlite3.Connection, query: str, parameters: Iterable[Any] = ()) -> Iterator[Entry]:
    """Yield the rows of a query that selects all columns of the journal, in their order."""
    return map(Entry._make, connection.execute(query, tuple(parameters)))


def _wanted(w: m.PriceWanted) -> Body:
    return "wanted", w.source, None, w.gtin, w.price_minor, w.currency, w.wave, None, None, None, None


def _rendered(s: m.ShowFace) -> Body:
    face = (s.label, s.gtin, s.price_minor, s.currency, s.wave, s.digest, s.revision)
    return "rendered", s.source, *face, None, s.content


def _charged(c: m.PriceCharged) -> Body:
    return "charged", c.source, None, c.gtin, c.price_minor, c.currency, c.wave, None, None, None, c.reason


def _instant(message: m.Message) -> datetime:
    """Return when it was by our clock. A sale stands where its evidence was taken: a wrong clock accuses nobody."""
    shelf = message.shelf if isinstance(message, m.SaleLine) else None
    return message.at if shelf is None else shelf.at


def _sold(s: m.SaleLine) -> Body:
    detail = f"basket {s.basket} line {s.line}"
    if _instant(s) != s.at:
        detail += f", till's clock {stamp(s.at)}"
    price = (s.gtin, s.unit_price_minor, s.currency, s.wave)
    return "sold", s.terminal, None, *price, None, s.price_version, None, detail


def _face(kind: str) -> Callable[[Any], Body]:
    def describe(f: Any) -> Body:  # noqa: ANN401 - one of the four facts about a face; two have more to say
        outcome, detail = getattr(f, "outcome", None), getattr(f, "reason", None) or getattr(f, "proof", None)
        return (
            kind, f.source, f.label, f.gtin, f.price_minor, f.currency, f.wave, f.digest, f.revision, outcome, detail,
        )  # fmt: skip

    return describe


_KINDS: dict[type[m.Message], Callable[[Any], Body]] = {
    m.PriceWanted: _wanted,
    m.ShowFace: _rendered,
    m.LabelSent: _face("sent"),
    m.LabelStored: _face("stored"),
    m.LabelShown: _face("shown"),
    m.LabelFailed: _face("failed"),
    m.PriceCharged: _charged,
    m.SaleLine: _sold,
}
