"""Tables of counts: what was expected, what was heard, what each count found; open ones are read at start.

The items of the newest KEPT counts stay for whoever looks for what is missing (`aisled count`); of older ones only the
products. Not here: the logic (`rules/counts.py`); each row is what a note of `count_notes.py` carries.
"""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from sqlite_utils import Database, Migrations

from gateway import messages as m
from gateway.count_notes import (
    CountClosed,
    CountOpened,
    CountSeen,
    ExpectedItem,
    KeptCount,
    KeptCounts,
    SeenItem,
    StockBase,
)
from gateway.store.apply_items import overwriting
from gateway.tag_notes import TagsForgotten

KEPT = 20  # counts whose items are kept
ENDED = 500  # counts that a repeated order is recognised by

migrations = Migrations("counts")


@migrations()
def tables(db: Database) -> None:
    """Create the tables. `number` is the order in which counts began."""
    db.execute(
        "CREATE TABLE count_session (number INTEGER PRIMARY KEY, session TEXT UNIQUE, opened TEXT, opened_at TEXT, "
        "reads INTEGER DEFAULT 0, slots INTEGER DEFAULT 0, ended TEXT, ended_at TEXT, coverage REAL) STRICT"
    )
    db.execute(
        "CREATE TABLE count_item (number INTEGER, epc TEXT, gtin TEXT, expected_zone TEXT, seen_zone TEXT, "
        "rssi_cdbm INTEGER, slots INTEGER, last_slot INTEGER, verdict TEXT, PRIMARY KEY (number, epc)) "
        "STRICT, WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE count_row (number INTEGER, gtin TEXT, expected INTEGER, found INTEGER, missing INTEGER, "
        "unexpected INTEGER, confidence REAL) STRICT"
    )
    db.execute("CREATE INDEX count_row_number ON count_row (number)")


@migrations()
def bases(db: Database) -> None:
    """Keep what a count of the whole shop found, and what came and went since."""
    db.execute(
        "CREATE TABLE stock_base (gtin TEXT PRIMARY KEY, at TEXT, before INTEGER, received INTEGER, sold INTEGER) "
        "STRICT, WITHOUT ROWID"
    )


class CountTables:
    """The projection."""

    migrations = migrations

    def apply(self, connection: sqlite3.Connection, messages: Sequence[m.Message]) -> None:
        """Change the tables by one batch, inside the caller's transaction."""
        for message in messages:
            if isinstance(message, CountSeen):
                _keep_seen(connection, message)
            elif isinstance(message, CountOpened):
                _open(connection, message)
            elif isinstance(message, CountClosed):
                _close(connection, message)
            elif isinstance(message, TagsForgotten):
                _forget(connection, message)
        kept = {message.gtin: message for message in messages if isinstance(message, StockBase)}
        connection.executemany(
            "INSERT OR REPLACE INTO stock_base VALUES (?, ?, ?, ?, ?)",
            [(base.gtin, base.at.isoformat(), base.before, base.received, base.sold) for base in kept.values()],
        )


def _number(db: sqlite3.Connection, session: str) -> int:
    (number,) = db.execute("SELECT number FROM count_session WHERE session = ?", [session]).fetchone()
    return int(number)


def _open(db: sqlite3.Connection, opened: CountOpened) -> None:
    head = opened.model_copy(update={"expected": ()}).model_dump_json()
    db.execute(
        "INSERT INTO count_session (session, opened, opened_at) VALUES (?, ?, ?)",
        [opened.session, head, opened.at.isoformat()],
    )
    number = _number(db, opened.session)
    db.executemany(
        "INSERT INTO count_item (number, epc, gtin, expected_zone) VALUES (?, ?, ?, ?)",
        [(number, *item) for item in opened.expected],
    )


def _keep_seen(db: sqlite3.Connection, seen: CountSeen) -> None:
    number = _number(db, seen.session)
    db.executemany(
        "INSERT INTO count_item (number, epc, gtin, seen_zone, rssi_cdbm, slots, last_slot) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number, epc) DO UPDATE SET seen_zone = excluded.seen_zone, "
        "rssi_cdbm = excluded.rssi_cdbm, slots = excluded.slots, last_slot = excluded.last_slot",
        [(number, *item) for item in seen.items],
    )
    db.execute("UPDATE count_session SET reads = ?, slots = ? WHERE number = ?", [seen.reads, seen.slots, number])


def _close(db: sqlite3.Connection, closed: CountClosed) -> None:
    number = _number(db, closed.session)
    db.execute(
        "UPDATE count_session SET ended = ?, ended_at = ?, coverage = ? WHERE number = ?",
        [closed.ended, closed.at.isoformat(), closed.coverage, number],
    )
    db.executemany(
        "UPDATE count_item SET verdict = ? WHERE number = ? AND epc = ?",
        [(verdict, number, epc) for epc, verdict in closed.items],
    )
    db.executemany("INSERT INTO count_row VALUES (?, ?, ?, ?, ?, ?, ?)", [(number, *row) for row in closed.rows])
    db.execute("DELETE FROM count_item WHERE number <= ?", [number - KEPT])
    db.execute("DELETE FROM count_row WHERE number <= ?", [number - ENDED])
    db.execute("DELETE FROM count_session WHERE number <= ? AND ended IS NOT NULL", [number - ENDED])


def _forget(db: sqlite3.Connection, gone: TagsForgotten) -> None:
    """Let no count remember an item that was sold and left."""
    numbers = [
        number for (number,) in db.execute("SELECT number FROM count_session ORDER BY number DESC LIMIT ?", [KEPT])
    ]
    with overwriting(db):
        db.executemany(
            "DELETE FROM count_item WHERE number = ? AND epc = ?", [(n, epc) for n in numbers for epc in gone.epcs]
        )


def load(connection: sqlite3.Connection) -> KeptCounts:
    """Return the counts that are open, and the names of those that are over."""
    open_rows = connection.execute(
        "SELECT number, opened, reads, slots FROM count_session WHERE ended IS NULL ORDER BY number"
    ).fetchall()
    ended = connection.execute("SELECT session, ended_at FROM count_session WHERE ended IS NOT NULL ORDER BY number")
    return KeptCounts(
        open=[_kept(connection, *row) for row in open_rows],
        ended={session: datetime.fromisoformat(at) for session, at in ended},
        bases=[_base(*row) for row in connection.execute("SELECT gtin, at, before, received, sold FROM stock_base")],
    )


def _base(gtin: str, at: str, before: int, received: int, sold: int) -> StockBase:
    when = datetime.fromisoformat(at)
    return StockBase(at=when, source=m.GATEWAY, gtin=gtin, before=before, received=received, sold=sold)


def _kept(db: sqlite3.Connection, number: int, head: str, reads: int, slots: int) -> KeptCount:
    expected = db.execute(
        "SELECT epc, gtin, expected_zone FROM count_item WHERE number = ? AND expected_zone IS NOT NULL", [number]
    )
    seen = db.execute(
        "SELECT epc, gtin, seen_zone, rssi_cdbm, slots, last_slot FROM count_item "
        "WHERE number = ? AND seen_zone IS NOT NULL",
        [number],
    )
    opened = CountOpened.model_validate_json(json.dumps({**json.loads(head), "expected": ()}))
    opened = opened.model_copy(update={"expected": tuple(ExpectedItem(*row) for row in expected)})
    return KeptCount(opened, [SeenItem(*row) for row in seen], reads, slots)
