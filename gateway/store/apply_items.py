"""Tables of items: where each is by RFID, and pieces sold by number; read whole at start.

What is forgotten is overwritten: a sold item that left is in no free page either. The logic is in `rules/items.py`, not
here; each row is the state that one note of `tag_notes.py` carries.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlite_utils import Database, Migrations

from gateway import messages as m
from gateway.tag_notes import CreditKept, KeptItems, KeptTag, PassageSoFar, TagKept, TagsForgotten

migrations = Migrations("items")


@migrations()
def tables(db: Database) -> None:
    """Create the tables. Times are UTC microseconds; `until_us`: a sold item is forgotten then, a left one went."""
    db.execute(
        "CREATE TABLE tag (epc TEXT PRIMARY KEY, gtin TEXT, state TEXT, zone TEXT, antenna TEXT, last_us INTEGER, "
        "gap_us INTEGER, until_us INTEGER, alarm TEXT, inbound INTEGER, door_cdbm INTEGER, passage TEXT) "
        "STRICT, WITHOUT ROWID"
    )
    db.execute("CREATE TABLE sold_credit (gtin TEXT PRIMARY KEY, credits TEXT) STRICT, WITHOUT ROWID")


class ItemTables:
    """The projection."""

    migrations = migrations

    def apply(self, connection: sqlite3.Connection, messages: Sequence[m.Message]) -> None:
        """Change the tables by one batch, inside the caller's transaction."""
        tags: dict[str, TagKept | None] = {}  # the last word of the batch counts
        credits_: dict[str, CreditKept] = {}
        for message in messages:
            if isinstance(message, TagKept):
                tags[message.tag.epc] = message
            elif isinstance(message, TagsForgotten):
                tags |= dict.fromkeys(message.epcs)
            elif isinstance(message, CreditKept):
                credits_[message.gtin] = message
        if tags or credits_:
            with overwriting(connection):
                _keep_tags(connection, tags)
                _keep_credits(connection, list(credits_.values()))


@contextmanager
def overwriting(db: sqlite3.Connection) -> Iterator[None]:
    """Let what is deleted inside be zeroed on the disk."""
    db.execute("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        db.execute("PRAGMA secure_delete = OFF")


def _keep_tags(db: sqlite3.Connection, tags: dict[str, TagKept | None]) -> None:
    rows = [_row(note.tag) for note in tags.values() if note is not None]
    db.executemany("INSERT OR REPLACE INTO tag VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.executemany("DELETE FROM tag WHERE epc = ?", [(epc,) for epc, note in tags.items() if note is None])


def _row(tag: KeptTag) -> tuple[object, ...]:
    return (*tag[:9], int(tag.inbound), tag.door_cdbm, None if tag.passage is None else json.dumps(tag.passage))


def _keep_credits(db: sqlite3.Connection, notes: list[CreditKept]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO sold_credit VALUES (?, ?)", [(note.gtin, json.dumps(note.credits)) for note in notes]
    )
    db.execute("DELETE FROM sold_credit WHERE credits = '[]'")


def load(db: sqlite3.Connection) -> KeptItems:
    """Read everything that the rule of items needs at start."""
    credits_ = db.execute("SELECT gtin, credits FROM sold_credit")
    return KeptItems(
        tags=[_kept(row) for row in db.execute("SELECT * FROM tag")],
        credits={gtin: tuple((count, until_us) for count, until_us in json.loads(text)) for gtin, text in credits_},
        products=_column(db, "product", "SELECT gtin FROM product"),
        requests=_column(db, "request_seen", "SELECT id FROM request_seen ORDER BY rowid"),
    )


def _kept(row: tuple[Any, ...]) -> KeptTag:
    passage = None if row[11] is None else PassageSoFar(*json.loads(row[11]))
    return KeptTag._make((*row[:9], bool(row[9]), row[10], passage))


def _column(db: sqlite3.Connection, table: str, query: str) -> list[str]:
    """Return a column of a table of `apply_prices.py`, if that is there."""
    there = db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone() is not None
    return [text for (text,) in db.execute(query)] if there else []
