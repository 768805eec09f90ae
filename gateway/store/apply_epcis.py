"""Tables of the EPCIS export: items in steps, kept with the facts; the events made of them; what did not get through.

`EpcisTables` is the projection, `EpcisRows` what the exporter reads and deletes (`epcis/exporter.py`). Only with the
export on: without `[epcis]` neither is there. Both tables are bounded; what is dropped is counted. Not here: which fact
is which step (`epcis/mapping.py`).
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlite_utils import Database, Migrations

from gateway import messages as m
from gateway.epcis.mapping import Observed, Steps
from gateway.epcis.rows import Event, Item, Losses, Waiting
from gateway.store.store import Store

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

migrations = Migrations("epcis")


@migrations()
def tables(db: Database) -> None:
    """Create the tables. `items` of an event and the state `items` bound what waits without a scan."""
    db.execute(
        "CREATE TABLE epcis_item (number INTEGER PRIMARY KEY, step TEXT, disposition TEXT, place TEXT, at_us INTEGER, "
        "context TEXT, epc TEXT) STRICT"
    )
    db.execute(
        "CREATE TABLE epcis_event (number INTEGER PRIMARY KEY AUTOINCREMENT, items INTEGER, body TEXT, refused TEXT) "
        "STRICT"
    )
    for statement in (
        "CREATE INDEX epcis_item_at ON epcis_item (at_us)",
        "CREATE INDEX epcis_event_waits ON epcis_event (number) WHERE refused IS NULL",
        "CREATE INDEX epcis_event_refused ON epcis_event (number) WHERE refused IS NOT NULL",
        "CREATE TABLE epcis_state (key TEXT PRIMARY KEY, value INTEGER) STRICT, WITHOUT ROWID",
        "INSERT INTO epcis_state VALUES ('items', 0), ('dropped', 0)",
    ):
        db.execute(statement)


class EpcisTables:
    """The projection. It must come after `CountTables`: what a count heard is read from there."""

    migrations = migrations

    def __init__(self, steps: Steps, max_items: int) -> None:
        self._steps, self._max_items = steps, max_items

    def apply(self, connection: sqlite3.Connection, messages: Sequence[m.Message]) -> None:
        """Keep the items of a batch, inside the caller's transaction."""
        rows = [row_of(one) for message in messages for one in self._observed(connection, message)]
        if rows:
            connection.executemany(
                "INSERT INTO epcis_item (step, disposition, place, at_us, context, epc) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            self._bound(connection)

    def _observed(self, db: sqlite3.Connection, message: m.Message) -> Iterable[Observed]:
        if isinstance(message, m.CountFinished):
            return self._steps.counted(message, _seen(db, message.session))
        return self._steps.observed(message)

    def _bound(self, db: sqlite3.Connection) -> None:
        """Drop the oldest items when nobody makes events of them."""
        first, last = db.execute("SELECT min(number), max(number) FROM epcis_item").fetchone()
        if last - first >= self._max_items:
            gone = db.execute("DELETE FROM epcis_item WHERE number <= ?", [last - self._max_items]).rowcount
            _count(db, "dropped", gone)


class EpcisRows:
    """The tables for the exporter. Each call is one transaction."""

    def __init__(self, store: Store, max_items: int) -> None:
        self._store, self._max_items = store, max_items

    async def closed(self, before_us: int, wrong_after_us: int, limit: int) -> list[Item]:
        """Return items from before an instant, oldest first; also those whose time is absurdly ahead."""
        query = (
            "SELECT number, step, disposition, place, at_us, context, epc FROM epcis_item "
            "WHERE at_us < ? OR at_us > ? ORDER BY at_us LIMIT ?"
        )
        rows = await self._store.read(lambda db: db.execute(query, [before_us, wrong_after_us, limit]).fetchall())
        return [Item(*row) for row in rows]

    async def keep(self, items: Sequence[Item], events: Sequence[Event]) -> None:
        """Keep events in place of the items that they were made of; drop the oldest ones above the bound."""

        def write(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM epcis_item WHERE number = ?", [(item.number,) for item in items])
            db.executemany("INSERT INTO epcis_event (items, body) VALUES (?, ?)", events)
            _count(db, "items", sum(event.items for event in events))
            _drop_oldest(db, self._max_items)

        await self._store.write(write)

    async def waiting(self, limit: int) -> list[Waiting]:
        """Return the oldest events that are not set aside."""
        query = "SELECT number, body FROM epcis_event WHERE refused IS NULL ORDER BY number LIMIT ?"
        return [Waiting(*row) for row in await self._store.read(lambda db: db.execute(query, [limit]).fetchall())]

    async def forget(self, events: Sequence[Waiting]) -> None:
        """Delete what was taken."""
        await self._store.write(lambda db: _delete(db, [event.number for event in events]))

    async def set_aside(self, event: Waiting, reason: str) -> None:
        """Keep it, but no longer among those that wait."""
        update = "UPDATE epcis_event SET refused = ? WHERE number = ?"
        await self._store.write(lambda db: db.execute(update, [reason, event.number]))

    async def retry(self) -> None:
        """Let all that was set aside wait again; count anew, for a salvaged file may have lost rows."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("UPDATE epcis_event SET refused = NULL WHERE refused IS NOT NULL")
            db.execute("INSERT OR IGNORE INTO epcis_state VALUES ('dropped', 0)")
            db.execute("INSERT OR REPLACE INTO epcis_state SELECT 'items', coalesce(sum(items), 0) FROM epcis_event")

        await self._store.write(write)

    async def losses(self) -> Losses:
        """Return what did not get through."""
        query = (
            "SELECT (SELECT count(*) FROM epcis_event WHERE refused IS NOT NULL), "
            "(SELECT value FROM epcis_state WHERE key = 'dropped')"
        )
        return Losses(*await self._store.read(lambda db: db.execute(query).fetchone()))


def row_of(one: Observed) -> tuple[str, str | None, str, int, str, str]:
    """Return the columns of an item, all but its number."""
    at_us = (one.at - _EPOCH) // timedelta(microseconds=1)
    return one.step, one.disposition, one.place, at_us, json.dumps(one.context), one.epc


def _seen(db: sqlite3.Connection, session: str) -> list[tuple[str, str]]:
    return db.execute(
        "SELECT epc, seen_zone FROM count_item JOIN count_session USING (number) "
        "WHERE session = ? AND verdict IN ('found', 'unexpected') AND seen_zone IS NOT NULL ORDER BY epc",
        [session],
    ).fetchall()


def _count(db: sqlite3.Connection, key: str, change: int) -> None:
    db.execute("UPDATE epcis_state SET value = value + ? WHERE key = ?", [change, key])


def _delete(db: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """Delete events; return how many items they named."""
    gone = 0
    for number in numbers:
        for (items,) in db.execute("DELETE FROM epcis_event WHERE number = ? RETURNING items", [number]).fetchall():
            gone += items
    _count(db, "items", -gone)
    return gone


def _drop_oldest(db: sqlite3.Connection, max_items: int) -> None:
    while True:
        (items,) = db.execute("SELECT value FROM epcis_state WHERE key = 'items'").fetchone()
        oldest = db.execute("SELECT number FROM epcis_event ORDER BY number LIMIT 1").fetchall()
        if items <= max_items or not oldest:
            return
        _count(db, "dropped", _delete(db, [number for (number,) in oldest]))
