"""Close old parts of the journal: into gzip files of JSON lines, with a checkpoint from which the chain still verifies.

Two steps, so that the writer is held up only for the short one: `export_part` reads and writes the file (any
connection), `close_part` deletes in the writer's transaction (`Store.write`). A kill in between costs nothing: the same
part is exported again. What still says what a glass shows or a till charges is carried along, so that it can be proven
after 400 days too.
"""

import gzip
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gateway.errors import StoreError
from gateway.store.journal import START, Entry, entries, stamp

RETENTION_DAYS = 400
PART_ROWS = 20_000


@dataclass(frozen=True)
class Part:
    """Rows `first` .. `last` in a file, `hash` that of the last row."""

    first: int
    last: int
    hash: bytes
    path: Path
    sha256: str


def export_part(connection: sqlite3.Connection, now: datetime, folder: Path, days: int = RETENTION_DAYS) -> Part | None:
    """Write the oldest rows that are older than `days`, at most PART_ROWS; None when there are none."""
    limit = stamp(now - timedelta(days=days))
    prev = connection.execute("SELECT hash FROM journal_checkpoint ORDER BY n DESC LIMIT 1").fetchone()
    rows: list[Entry] = []
    expected = START if prev is None else prev[0]
    for row in entries(connection, "SELECT * FROM journal ORDER BY n LIMIT ?", [PART_ROWS]):
        if row.at >= limit:
            break
        if row.prev != expected or not row.sound():
            raise StoreError(f"the price journal is broken at row {row.n}: a person must look before any is archived")
        rows.append(row)
        expected = row.hash
    if not rows:
        return None
    path = folder / f"journal-{rows[0].n:012d}-{rows[-1].n:012d}.jsonl.gz"
    return Part(rows[0].n, rows[-1].n, expected, path, _write(path, rows))


def _write(path: Path, rows: list[Entry]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps([*row[:-2], row.prev.hex(), row.hash.hex()], ensure_ascii=False) for row in rows)
    data = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    return hashlib.sha256(data).hexdigest()


def close_part(connection: sqlite3.Connection, part: Part, now: datetime) -> None:
    """Delete an exported part and leave a checkpoint, inside the caller's transaction."""
    row = connection.execute("SELECT hash FROM journal WHERE n = ?", [part.last]).fetchone()
    if row is None or row[0] != part.hash:
        raise StoreError(f"the journal does not end its part at row {part.last} as {part.path} does")
    connection.execute("INSERT INTO journal_carried SELECT * FROM journal WHERE n <= ?", [part.last])
    connection.execute(_FORGET_LABELS)
    connection.execute(_FORGET_TILLS)
    connection.execute(
        "INSERT INTO journal_checkpoint VALUES (?, ?, ?, ?, ?, ?)",
        [part.last, part.hash, part.first, stamp(now), part.path.name, part.sha256],
    )
    connection.execute("DELETE FROM journal WHERE n <= ?", [part.last])


# What a later proof by the same access point rules out says nothing about the glass any more; of tills and wishes the
# newest counts.
_FORGET_LABELS = (
    "DELETE FROM journal_carried AS old WHERE label IS NOT NULL AND (kind IN ('rendered', 'stored') OR EXISTS "
    "(SELECT 1 FROM journal_carried AS proof WHERE proof.label = old.label AND proof.via = old.via "
    "AND proof.kind = 'shown' AND proof.n > old.n AND proof.revision >= old.revision))"
)
_FORGET_TILLS = (
    "DELETE FROM journal_carried AS old WHERE label IS NULL AND EXISTS "
    "(SELECT 1 FROM journal_carried AS newer WHERE newer.gtin = old.gtin AND newer.label IS NULL "
    "AND newer.kind = old.kind AND newer.n > old.n)"
)


def verify_part(path: Path, prev: bytes = START) -> bytes | None:
    """Return the hash of the last row of an archived part when its chain holds from `prev` on, else None."""
    for entry in read_part(path):
        if entry.prev != prev or not entry.sound():
            return None
        prev = entry.hash
    return prev


def read_part(path: Path) -> Iterator[Entry]:
    """Yield the rows of an archived part."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            *body, prev, own = json.loads(line)
            yield Entry._make([*body, bytes.fromhex(prev), bytes.fromhex(own)])
