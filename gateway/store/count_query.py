"""What people ask of counts: which there were, what each found by product and by item. Reads; never writes.

Not here: how it is printed (`gateway/count_commands.py`), how it is kept (`apply_counts.py`).
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple


class CountHead(NamedTuple):
    """One count. Instants are RFC 3339 text; `ended` is null while it is open; `missing` is for those that ended."""

    session: str
    kind: str
    zones: tuple[str, ...]
    document: str | None
    opened_at: str
    ended_at: str | None
    ended: str | None
    coverage: float | None
    expected: int
    found: int
    missing: int
    unexpected: int


class ProductLine(NamedTuple):
    """One product of a count; `name` is empty when head office told none in this language."""

    gtin: str | None
    name: str
    expected: int
    found: int
    missing: int
    unexpected: int
    confidence: float


class ItemLine(NamedTuple):
    """One item of a count. `verdict` is null while the count is open."""

    epc: str
    gtin: str | None
    expected_zone: str | None
    seen_zone: str | None
    verdict: str | None


def heads(connection: sqlite3.Connection, limit: int = 50) -> list[CountHead]:
    """Return the newest counts, newest first."""
    rows = connection.execute(
        "SELECT session, opened, opened_at, ended_at, ended, coverage, number FROM count_session "
        "ORDER BY number DESC LIMIT ?",
        [limit],
    ).fetchall()
    return [_head(connection, *row) for row in rows]


def _head(
    db: sqlite3.Connection,
    session: str,
    opened: str,
    opened_at: str,
    ended_at: str | None,
    ended: str | None,
    coverage: float | None,
    number: int,
) -> CountHead:
    said = json.loads(opened)
    sums = _open_sums(db, number) if ended is None else _row_sums(db, number)
    return CountHead(
        session, said["kind"], tuple(said["zones"]), said["document"], opened_at, ended_at, ended, coverage, *sums
    )


def _row_sums(db: sqlite3.Connection, number: int) -> tuple[int, int, int, int]:
    sums: tuple[int, int, int, int] = db.execute(
        "SELECT coalesce(sum(expected), 0), coalesce(sum(found), 0), coalesce(sum(missing), 0), "
        "coalesce(sum(unexpected), 0) FROM count_row WHERE number = ?",
        [number],
    ).fetchone()
    return sums


def _open_sums(db: sqlite3.Connection, number: int) -> tuple[int, int, int, int]:
    expected, found, others = db.execute(
        "SELECT count(expected_zone), count(expected_zone || seen_zone), "
        "sum(expected_zone IS NULL) FROM count_item WHERE number = ?",
        [number],
    ).fetchone()
    return expected, found, expected - found, others or 0


def products(connection: sqlite3.Connection, session: str, language: str) -> Iterator[ProductLine]:
    """Return what a count that ended found, by product."""
    rows = connection.execute(
        "SELECT count_row.gtin, product.body, expected, found, missing, unexpected, confidence FROM count_row "
        "JOIN count_session USING (number) LEFT JOIN product ON product.gtin = count_row.gtin "
        "WHERE session = ? ORDER BY missing DESC, count_row.gtin",
        [session],
    )
    for gtin, body, *numbers in rows:
        yield ProductLine(gtin, _name(body, language), *numbers)


def _name(body: str | None, language: str) -> str:
    names: dict[str, str] = {} if body is None else json.loads(body)["name"]
    return names.get(language) or next(iter(names.values()), "")


def items(connection: sqlite3.Connection, session: str) -> Iterator[ItemLine]:
    """Return every item that was expected or heard, missing ones first; those of old counts are gone."""
    rows = connection.execute(
        "SELECT epc, gtin, expected_zone, seen_zone, verdict FROM count_item JOIN count_session USING (number) "
        "WHERE session = ? ORDER BY verdict IS NOT 'missing', gtin, epc",
        [session],
    )
    return (ItemLine(*row) for row in rows)
